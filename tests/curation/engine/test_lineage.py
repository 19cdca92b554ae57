"""What workers are told of the rows: who lives, and what was measured of them."""

import pickle

import numpy as np
import pytest
from toy_lineage import ByHand
from toy_steps import CountingSource

from curation.errors import CorruptionError

STEPS = "{kind: measure_text, min_words: 1, decides: true}, {kind: threshold, min: 3}, {kind: draw}, {kind: develop}"


def living(rows):
    return [row for row in rows if row % 7 >= 3 and row % 5]


def test_parts_cover_the_rows_when_the_last_is_short(tmp_path):
    lineage = ByHand(tmp_path, STEPS, rows=40, part_rows=16).lineage
    assert lineage.parts == 3
    assert [lineage.bounds(part) for part in range(3)] == [(0, 16), (16, 32), (32, 40)]
    assert ByHand(tmp_path, STEPS, rows=0).lineage.parts == 0


def test_the_living_are_those_that_no_item_ended_when_asked_for(tmp_path):
    run = ByHand(tmp_path, STEPS)
    assert run.lineage.live_rows(1).tolist() == list(range(16, 32))
    lineage = run.all()
    assert lineage.live_rows(1).tolist() == living(range(16, 32))
    assert lineage.live_rows(2).tolist() == living(range(32, 40))


def test_columns_come_from_wherever_they_were_made_when_asked_for(tmp_path):
    lineage = ByHand(tmp_path, STEPS).all()
    rows = lineage.live_rows(1)
    table = lineage.columns_of(1, rows, ["width", "page", "caption", "text_words", "image"])
    assert table.column_names == ["row", "key", "width", "page", "caption", "text_words", "image"]
    assert table["row"].to_pylist() == rows.tolist()
    assert table["page"].to_pylist() == [row % 3 for row in rows]
    assert table["text_words"].to_pylist() == [row % 7 for row in rows]
    assert table["image"].to_pylist() == [f"u/{row}".encode() * 2 for row in rows]


def test_a_source_column_comes_once_when_a_phase_persists_it_too(tmp_path):
    lineage = ByHand(tmp_path, "{kind: threshold, column: page, min: 1}, {kind: measure_text}").all()
    rows = lineage.live_rows(0)
    assert lineage.columns_of(0, rows, ["page", "caption"]).column_names == ["row", "key", "page", "caption"]


def test_a_part_has_no_living_rows_when_a_phase_has_set_it_aside(tmp_path):
    lineage = ByHand(tmp_path, STEPS).all(parts=[0, 2])
    assert lineage.live_rows(1).tolist() == []
    assert lineage.live_rows(2).tolist() == living(range(32, 40))
    assert lineage.columns_of(1, np.array([], np.int64), ["image", "page"]).num_rows == 0


def test_it_reads_the_same_when_it_was_pickled(tmp_path):
    lineage = ByHand(tmp_path, STEPS).all()
    again = pickle.loads(pickle.dumps(lineage))
    assert again.live_rows(0).tolist() == lineage.live_rows(0).tolist()
    rows = lineage.live_rows(0)
    assert again.columns_of(0, rows, ["image"]).equals(lineage.columns_of(0, rows, ["image"]))


def test_the_row_is_named_when_a_file_does_not_know_one_that_lives(tmp_path):
    lineage = ByHand(tmp_path, STEPS).all()
    with pytest.raises(CorruptionError, match=r"pool/draw-develop-m0: holds nothing of row 21 of part 1, which is"):
        lineage.columns_of(1, np.array([19, 21], np.int64), ["image"])


def test_the_source_is_named_when_it_has_fewer_rows_than_it_had(tmp_path, monkeypatch):
    lineage = ByHand(tmp_path, STEPS).lineage
    read = CountingSource.read
    monkeypatch.setattr(CountingSource, "read", lambda *args: read(*args).slice(1))
    with pytest.raises(CorruptionError, match="source counting: gave 15 rows for rows 16 to 32; it has changed"):
        lineage.source_rows(1)
