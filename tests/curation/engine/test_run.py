"""The engine over small real steps: conservation, resume, and re-use when a threshold changes."""

import polars as pl
import pytest
from toy_runs import execute, files_of, ledger_of, logged


def test_every_row_has_the_outcome_worked_out_by_hand_when_a_run_ends(tmp_path):
    result = execute(tmp_path / "out")
    ledger = ledger_of(tmp_path / "out", result)
    assert ledger["row"].to_list() == list(range(100))
    for row in ledger.iter_rows(named=True):
        words = row["row"] % 7
        if words < 1:
            expected = ("rejected", "measure_text", "measure_text.min_words")
        elif row["row"] % 5 == 0:
            expected = ("failed", "draw", "http_not_found")
        elif words < 3:
            expected = ("rejected", "threshold", "threshold.min")
        else:
            expected = ("kept", None, None)
        assert (row["outcome"], row["step"], row["reason"]) == expected
        assert row["text_words"] == words
        assert (row["width"] is not None) == (words >= 1 and row["row"] % 5 != 0)
        assert (row["shard"] is not None) == (row["outcome"] == "kept")
    assert "image" not in ledger.columns
    assert ledger["page"].to_list() == [row % 3 for row in range(100)]


def test_units_are_dense_and_hold_the_kept_rows_when_delivered(tmp_path):
    result = execute(tmp_path / "out")
    kept = ledger_of(tmp_path / "out", result).filter(pl.col("outcome") == "kept")
    shards = tmp_path / "out" / result.shards
    lines = [(shards / f"{unit}.txt").read_text().splitlines() for unit in range(-(-len(kept) // 10))]
    assert [len(unit) for unit in lines[:-1]] == [10] * (len(lines) - 1)
    rows = {int(line.split()[0]): int(line.split()[2]) for unit in lines for line in unit}
    assert set(rows) == set(kept["row"])
    assert all(size == 2 * len(f"u/{row}") for row, size in rows.items())


def test_nothing_is_done_again_when_run_twice(tmp_path):
    first = execute(tmp_path / "out")
    before = files_of(tmp_path / "out", first)
    measured = logged(tmp_path / "measured")
    second = execute(tmp_path / "out")
    assert second == first
    assert logged(tmp_path / "measured") == measured == list(range(100))
    assert files_of(tmp_path / "out", second) == before


def test_only_missing_rows_are_measured_when_a_bound_before_is_lowered(tmp_path):
    execute(tmp_path / "out", "measure_text.min_words=3")
    drawn = logged(tmp_path / "drawn")
    assert drawn == [row for row in range(100) if row % 7 >= 3]
    lower = execute(tmp_path / "out", "measure_text.min_words=1")
    assert logged(tmp_path / "drawn") == [row for row in range(100) if row % 7 >= 1]
    fresh = execute(tmp_path / "fresh", log=tmp_path / "out")
    assert files_of(tmp_path / "out", lower) == files_of(tmp_path / "fresh", fresh)


def test_nothing_is_measured_when_an_exchange_changes(tmp_path):
    first = execute(tmp_path / "out")
    measured = logged(tmp_path / "drawn")
    second = execute(tmp_path / "out", "threshold.min=5")
    assert logged(tmp_path / "drawn") == measured
    assert second.shards != first.shards
    kept = ledger_of(tmp_path / "out", second).filter(pl.col("outcome") == "kept")
    assert kept["text_words"].min() == 5


def test_a_part_is_set_aside_and_the_others_finish_when_it_raises_at_every_try(tmp_path):
    result = execute(tmp_path / "out", "measure_text.raise_row=20")
    assert result.quarantined == (("measure_text", 1),)
    ledger = ledger_of(tmp_path / "out", result)
    assert len(ledger) == 100
    quarantined = ledger.filter(pl.col("reason") == "quarantined")
    assert quarantined["row"].to_list() == list(range(16, 32))
    assert set(quarantined["outcome"]) == {"failed"}


def test_quarantined_rows_are_measured_when_the_cause_is_mended(tmp_path):
    execute(tmp_path / "out", "measure_text.raise_row=20")
    mended = execute(tmp_path / "out")
    fresh = execute(tmp_path / "fresh")
    assert mended.quarantined == ()
    assert files_of(tmp_path / "out", mended) == files_of(tmp_path / "fresh", fresh)


class BesideIt:
    """Does something, once, when the nth item of a run starts."""

    def __init__(self, number, act):
        self.left = number
        self.act = act

    def item_started(self, start):
        self.left -= 1
        if self.left == 0:
            self.act()

    def unit_done(self, report):
        pass

    def item_ended(self, seconds):
        pass


@pytest.mark.parametrize("item", [2, 3, 4, 5, 6])
def test_a_part_stays_set_aside_to_the_end_when_another_driver_commits_it_meanwhile(tmp_path, item):
    undisturbed = execute(tmp_path / "alone", "measure_text.raise_row=20", log=tmp_path)
    beside = BesideIt(item, lambda: execute(tmp_path / "out"))
    result = execute(tmp_path / "out", "measure_text.raise_row=20", listener=beside)
    assert beside.left <= 0
    assert result.quarantined == (("measure_text", 1),)
    assert files_of(tmp_path / "out", result) == files_of(tmp_path / "alone", undisturbed)
    assert execute(tmp_path / "out").quarantined == ()


def test_the_verdicts_do_not_depend_on_it_when_parts_have_another_size(tmp_path):
    small = execute(tmp_path / "small", "run.part_rows=7")
    large = execute(tmp_path / "large", "run.part_rows=1000")
    assert ledger_of(tmp_path / "small", small).equals(ledger_of(tmp_path / "large", large))


@pytest.mark.parametrize("rows", [0, 1, 16])
def test_a_run_ends_well_when_the_source_is_tiny(tmp_path, rows):
    result = execute(tmp_path / "out", f"source.rows={rows}")
    assert result.rows == rows
    ledger = list((tmp_path / "out" / result.ledger).glob("*.parquet")) if rows else []
    assert sum(pl.read_parquet(path).height for path in ledger) == rows


def test_source_columns_can_be_judged_when_an_exchange_stands_first(tmp_path):
    text = "source: {kind: counting, rows: 30}\nsteps:\n  - {kind: threshold, column: page, min: 1}\n"
    ledger = ledger_of(tmp_path / "out", execute(tmp_path / "out", text=text))
    assert [row for row, outcome in zip(ledger["row"], ledger["outcome"], strict=True) if outcome == "kept"] == [
        row for row in range(30) if row % 3
    ]
