"""What is told of a retry or a refresh."""

import pytest

from curation.engine.revisits import REFRESH, retry_request
from curation.engine.run import RunResult
from jobs.revisit_report import revisit_summary, revisit_text, revisit_title
from schemas.records import Revisit, Revisited


def result_of(kind, figures, *reasons):
    revisit = Revisit(number=3, kind=kind, reasons=reasons, phases=("ab",))
    return RunResult(100, "ledger/ab", None, revisit=revisit, revisited=figures)


ALL = retry_request("all").reasons
RETRIED = Revisited(asked=1200, failed_before={"http_gone": 200, "deadline": 1000}, unchanged=900, healed=250)
REFRESHED = Revisited(asked=5000, failed_before={"http_gone": 9}, unchanged=4900, unreached=30, healed=5, lost=8)


@pytest.mark.parametrize(
    ("result", "lines"),
    [
        (
            result_of("retry", RETRIED, "deadline", "dns_failed", "http_gone"),
            [
                "retry 3: 1,200 rows asked again (deadline 1,000, http_gone 200): 250 no longer fail, 950 do",
                "retry 3: no row had failed for dns_failed",
            ],
        ),
        (
            result_of("retry", RETRIED, *ALL),
            ["retry 3: 1,200 rows asked again (deadline 1,000, http_gone 200): 250 no longer fail, 950 do"],
        ),
        (result_of("retry", Revisited(), "dns_failed"), ["retry 3: no row had failed for dns_failed"]),
        (result_of("retry", Revisited(), *ALL), ["retry 3: no row had failed"]),
        (result_of("retry", Revisited(), "quarantined"), []),
        (
            result_of("refresh", REFRESHED),
            [
                "refresh 3: 5,000 rows asked again: 4,900 unchanged, 70 changed (5 no longer fail, 8 do now), "
                "30 could not be reached and stay as they were"
            ],
        ),
        (
            result_of("refresh", Revisited(asked=5, unchanged=5)),
            ["refresh 3: 5 rows asked again: 5 unchanged, 0 changed"],
        ),
    ],
)
def test_it_is_told_in_words_when_a_run_ends(result, lines):
    assert revisit_text(result, None).splitlines() == lines


def test_it_is_told_that_there_was_nothing_to_ask_again_when_the_folder_was_empty():
    assert revisit_text(RunResult(1, "ledger/ab", None), REFRESH).startswith("refresh: nothing had been measured here")
    assert revisit_text(RunResult(1, "ledger/ab", None), None) == ""


def test_the_figures_are_values_when_asked_for():
    assert revisit_summary(result_of("refresh", REFRESHED)) == {
        "number": 3,
        "kind": "refresh",
        "reasons": [],
        "asked": 5000,
        "failed_before": {"http_gone": 9},
        "unchanged": 4900,
        "unreached": 30,
        "healed": 5,
        "lost": 8,
        "changed": 70,
    }
    assert revisit_summary(RunResult(1, "ledger/ab", None)) is None


def test_the_title_names_the_reasons_when_they_are_not_all():
    titles = [
        revisit_title(Revisit(number=2, kind="retry", reasons=reasons, phases=())) for reasons in (("a", "b"), ALL)
    ]
    assert titles == ["retry 2 of a, b", "retry 2 of all failures"]
    assert revisit_title(Revisit(number=1, kind="refresh", phases=())) == "refresh 1"
