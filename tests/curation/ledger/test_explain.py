"""Why a row ended as it did."""

import polars as pl
import pytest

from curation.ledger.explain import explain, verdict_line

ROWS = {
    "row": [4, 2, 7],
    "key": ["aa", "bb", "bb"],
    "url": ["http://a/1", "http://a/2", "http://a/2"],
    "final_url": ["http://b/1", None, "http://a/1"],
    "outcome": ["kept", "rejected", "failed"],
    "step": [None, "select", "fetch_images"],
    "reason": [None, "select.min_clip_score", "http_gone"],
    "detail": [None, "0.1 < 0.25", None],
    "shard": [3, None, None],
    "shard_position": [12, None, None],
}
LEDGER = pl.LazyFrame(ROWS)


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [("aa", [4]), ("bb", [2, 7]), ("http://a/1", [4, 7]), ("http://b/1", [4]), ("http://a", []), ("", [])],
)
def test_rows_are_found_by_key_or_either_url_when_asked_for(wanted, rows):
    assert [row["row"] for row in explain(LEDGER, wanted)] == rows


def test_only_what_is_known_is_told_when_a_row_is_explained():
    (row,) = explain(LEDGER.drop("final_url"), "aa")
    assert row == {"row": 4, "key": "aa", "url": "http://a/1", "outcome": "kept", "shard": 3, "shard_position": 12}


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (4, "kept, sample 12 of shard 000003"),
        (2, "rejected at select: select.min_clip_score (0.1 < 0.25)"),
        (7, "failed at fetch_images: http_gone"),
    ],
)
def test_one_sentence_says_what_and_why_when_there_is_a_verdict(row, line):
    (found,) = [entry for key in ("aa", "bb") for entry in explain(LEDGER, key) if entry["row"] == row]
    assert verdict_line(found) == line


def test_nothing_is_said_of_shards_when_there_were_none():
    assert verdict_line({"row": 1, "outcome": "kept"}) == "kept"
