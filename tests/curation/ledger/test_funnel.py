"""The funnel, counted by hand."""

import polars as pl
import pytest

from curation.errors import CorruptionError
from curation.ledger.funnel import make_funnel

ENDS = [
    *[("kept", None, None)] * 4,
    *[("rejected", "rules", "rules.min_words")] * 3,
    *[("rejected", "rules", "rules.languages")] * 2,
    *[("failed", "fetch", "http_gone")] * 3,
    *[("failed", "fetch", "dns_failed")] * 3,
    ("failed", "fetch", "quarantined"),
    ("failed", "late", "http_gone"),
    ("rejected", "late", "late.max"),
]
STEPS = ["rules", "idle", "fetch", "late"]


def ledger_of(ends):
    return pl.LazyFrame(ends, schema={"outcome": pl.String, "step": pl.String, "reason": pl.String}, orient="row")


def test_each_step_passes_on_what_it_did_not_lose_when_counted():
    funnel = make_funnel(ledger_of(ENDS), STEPS)
    assert [(step.step, step.rows_in, step.rows_out) for step in funnel.steps] == [
        ("rules", 18, 13),
        ("idle", 13, 13),
        ("fetch", 13, 6),
        ("late", 6, 4),
    ]
    assert (funnel.rows_in, funnel.kept) == (18, 4)


def test_reasons_are_sorted_by_rows_and_then_by_name_when_told():
    funnel = make_funnel(ledger_of(ENDS), STEPS)
    assert list(funnel.steps[0].rejected.items()) == [("rules.min_words", 3), ("rules.languages", 2)]
    assert list(funnel.steps[2].failed.items()) == [("dns_failed", 3), ("http_gone", 3), ("quarantined", 1)]


def test_a_reason_is_summed_over_steps_when_several_fail_for_it():
    funnel = make_funnel(ledger_of(ENDS), STEPS)
    assert funnel.failed == {"dns_failed": 3, "http_gone": 4, "quarantined": 1}
    assert funnel.rejected == {"rules.min_words": 3, "rules.languages": 2, "late.max": 1}
    assert funnel.rows_in == funnel.kept + sum(funnel.failed.values()) + sum(funnel.rejected.values())


@pytest.mark.parametrize(
    ("phase", "order"),
    [
        ("fetch-late", ["rules", "idle", "fetch-late", "fetch", "late"]),
        ("source", ["source", "rules", "idle", "fetch", "late"]),
        ("rules-idle", ["rules-idle", "rules", "idle", "fetch", "late"]),
    ],
)
def test_a_phase_stands_where_its_steps_do_when_it_set_parts_aside(phase, order):
    funnel = make_funnel(ledger_of([*ENDS, ("failed", phase, "quarantined")]), STEPS)
    assert [step.step for step in funnel.steps] == order
    assert funnel.kept == 4


def test_everything_is_zero_when_there_are_no_rows():
    funnel = make_funnel(ledger_of([]), STEPS)
    assert (funnel.rows_in, funnel.kept, funnel.failed) == (0, 0, {})
    assert [step.rows_out for step in funnel.steps] == [0, 0, 0, 0]


def test_it_says_that_the_ledger_is_damaged_when_it_cannot_be_read(tmp_path):
    path = tmp_path / "part-00000000.parquet"
    ledger_of(ENDS).sink_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptionError, match=r"the ledger cannot be read .*; `curation verify` names what is damaged"):
        make_funnel(pl.scan_parquet(path), STEPS)
