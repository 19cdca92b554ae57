"""Rows are matched by key: what changed, what did not, and what only one of two ledgers has."""

import polars as pl

from curation.ledger.diff import diff_ledgers


def ledger(rows):
    """A ledger of `(key, outcome, reason, detail)`, in this order of rows."""
    columns = list(zip(*rows, strict=True))
    keys, outcomes, reasons, details = columns
    frame = pl.DataFrame(
        {
            "row": range(len(rows)),
            "key": keys,
            "url": [f"http://e.org/{key}" for key in keys],
            "caption": [f"caption {key}" for key in keys],
            "outcome": outcomes,
            "reason": reasons,
            "detail": details,
        },
        schema_overrides={"row": pl.Int64, "reason": pl.String, "detail": pl.String},
    )
    return frame.lazy()


KEPT = ("kept", None, None)
LOW = ("rejected", "select.min", "score 0.1 < 0.2")
GONE = ("failed", "http_gone", "410")


def test_changed_verdicts_are_counted_by_transition_when_two_ledgers_differ():
    before = ledger([("a", *KEPT), ("b", *KEPT), ("c", *LOW), ("d", *GONE), ("e", *KEPT)])
    after = ledger([("e", *KEPT), ("d", *KEPT), ("c", *LOW), ("b", *LOW), ("a", *LOW)])
    diff = diff_ledgers(before, after, examples=1)
    assert (diff.same, diff.changed, diff.kept) == (2, 3, (3, 2))
    assert [(t.before, t.after, t.rows) for t in diff.transitions] == [
        ("kept", "rejected(select.min)", 2),
        ("failed(http_gone)", "kept", 1),
    ]
    assert diff.transitions[0].examples == [
        {
            "key": "a",
            "url": "http://e.org/a",
            "caption": "caption a",
            "detail_before": None,
            "detail_after": "score 0.1 < 0.2",
        }
    ]
    assert (diff.only_before, diff.only_after) == ({}, {})


def test_rows_of_one_ledger_are_told_apart_when_sources_differ():
    before = ledger([("a", *KEPT), ("b", *LOW), ("c", *GONE)])
    after = ledger([("b", *LOW), ("x", *KEPT), ("y", *LOW), ("z", *LOW)])
    diff = diff_ledgers(before, after)
    assert (diff.same, diff.transitions) == (1, ())
    assert diff.only_before == {"failed(http_gone)": 1, "kept": 1}
    assert diff.only_after == {"rejected(select.min)": 2, "kept": 1}


def test_a_pair_given_twice_is_matched_in_its_order_when_keys_repeat():
    twin = ("rejected", "deduplicate.exact", "a")
    before = ledger([("a", *KEPT), ("b", *KEPT), ("a", *twin), ("a", *twin)])
    after = ledger([("b", *KEPT), ("a", *KEPT), ("a", *twin)])
    diff = diff_ledgers(before, after)
    assert (diff.same, diff.transitions, diff.only_after) == (3, (), {})
    assert diff.only_before == {"rejected(deduplicate.exact)": 1}


def test_nothing_is_different_when_a_ledger_is_compared_with_itself():
    one = ledger([("a", *KEPT), ("b", *LOW)])
    diff = diff_ledgers(one, one)
    assert (diff.same, diff.changed, diff.transitions, diff.only_before, diff.only_after) == (2, 0, (), {}, {})
