"""The whole recipe over real HTTP, with real models: conservation, truth, re-use.

The same on Ray, with deaths: tests/faults/test_worker_deaths.py and test_driver_deaths.py.
"""

import time

import polars as pl
import pytest
from sandbox_runs import PAIRS, delivered, ledger_of, measured_rows, record_of

from jobs.sandbox.truth_check import check_against_truth

FETCH = "fetch_images-decode_images-fingerprint"


@pytest.mark.timeout(400)
def test_every_row_has_one_outcome_when_a_run_ends(undisturbed):
    out, summary = undisturbed
    ledger = ledger_of(out)
    assert ledger["row"].to_list() == list(range(PAIRS))
    assert ledger["key"].n_unique() == PAIRS
    assert set(ledger["outcome"]) == {"kept", "rejected", "failed"}
    lost = sum(summary["rejected"].values()) + sum(summary["failed"].values())
    assert summary["rows_in"] == PAIRS == summary["kept"] + lost
    assert summary["kept"] == (ledger["outcome"] == "kept").sum()


@pytest.mark.timeout(400)
def test_the_run_is_right_when_held_against_the_truth(sandbox, undisturbed):
    out, _ = undisturbed
    figures = check_against_truth(ledger_of(out), pl.read_parquet(sandbox.web.truth_path))
    assert figures["failure_reasons_right"] == 1.0
    assert figures["exact_dup_recall"] == 1.0
    assert figures["near_dup_recall"] >= 0.95
    assert figures["near_dup_precision"] >= 0.99
    assert figures["mismatch_recall"] >= 0.90
    assert figures["mismatch_precision"] >= 0.85
    assert figures["recaption_accuracy"] >= 0.90


@pytest.mark.timeout(400)
def test_nothing_is_asked_for_and_nothing_changes_when_run_again(sandbox, undisturbed):
    out, _ = undisturbed
    before, asked = delivered(out), sandbox.requests()
    begin = time.monotonic()
    sandbox.run(out)
    assert time.monotonic() - begin < 20
    assert sandbox.requests() == asked
    assert delivered(out) == before
    assert sum(measured_rows(out).values()) == 0


@pytest.mark.timeout(400)
def test_nothing_is_asked_for_or_encoded_when_the_threshold_changes(sandbox, undisturbed):
    out, summary = undisturbed
    shards, asked = record_of(out).shards, sandbox.requests()
    kept_before = set(ledger_of(out).filter(pl.col("outcome") == "kept")["key"])
    stricter = sandbox.run(out, "select.rules.clip_score.min=0.7")
    assert sandbox.requests() == asked
    measured = measured_rows(out)
    assert measured[FETCH] == measured["score_alignment"] == measured["recaption"] == measured["text_rules"] == 0
    assert stricter["kept"] < summary["kept"]
    assert record_of(out).shards != shards
    kept = ledger_of(out).filter(pl.col("outcome") == "kept")
    assert set(kept["key"]) < kept_before
    assert kept["clip_score"].min() >= 0.7
