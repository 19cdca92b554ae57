import pytest
from pydantic import ValidationError

from jobs.sandbox.trouble import EXPECTED, FINE, CaptionKind, CopyKind, Rates, Trouble, count_of
from schemas.outcomes import FailureReason, Outcome


def test_every_trouble_has_an_expected_outcome_when_listed() -> None:
    assert set(EXPECTED) == set(Trouble)
    outcomes = {FINE[0], Outcome.FAILED.value, Outcome.REJECTED.value}
    assert {outcome for outcome, _ in EXPECTED.values()} == outcomes


def test_expected_failures_are_reasons_of_the_ledger_when_compared() -> None:
    reasons = {reason for outcome, reason in EXPECTED.values() if outcome == Outcome.FAILED.value}
    assert reasons <= {reason.value for reason in FailureReason}


def test_rates_cover_every_kind_when_default() -> None:
    rates = Rates()
    assert set(rates.captions) == set(CaptionKind) - {CaptionKind.RIGHT}
    assert set(rates.copies) == set(CopyKind) - {CopyKind.NONE}
    assert set(rates.troubles) == set(Trouble) - {Trouble.NONE}


def test_rates_are_web_like_when_default() -> None:
    rates = Rates()
    near = sum(rate for kind, rate in rates.copies.items() if kind.near)
    useless = sum(rate for kind, rate in rates.captions.items() if kind.useless)
    assert near == pytest.approx(0.08)
    assert useless == pytest.approx(0.12)
    assert 0.13 < sum(rates.troubles.values()) < 0.15


@pytest.mark.parametrize(
    ("rate", "pairs", "count"), [(0.001, 3000, 3), (0.001, 300, 2), (0.001, 100, 1), (0.001, 99, 0), (0.0, 3000, 0)]
)
def test_count_is_at_least_what_is_promised_when_rates_are_low(rate: float, pairs: int, count: int) -> None:
    assert count_of(rate, pairs) == count


@pytest.mark.parametrize(
    "wrong",
    [
        {"troubles": {Trouble.NOT_FOUND: -0.1}},
        {"captions": {CaptionKind.RIGHT: 0.5}},
        {"copies": {CopyKind.EXACT: 0.6}},
        {"mismatched_copies": 1.5},
        {"speed": 1},
    ],
)
def test_rates_are_refused_when_impossible(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Rates.model_validate(wrong)
