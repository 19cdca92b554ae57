"""Delivering a unit: its rows in their places, with every column that is to go out."""

import pyarrow as pa
from toy_lineage import ByHand
from toy_steps import WriteLines

from curation.engine.decisions import assign
from curation.engine.delivery_operator import DeliveryOperator, delivered_columns
from curation.storage.layout import DecisionLayout, UnitsLayout

PLACES, SHARDS = DecisionLayout("write_lines", "w0"), UnitsLayout("shards", "w0")


class Keeping(WriteLines):
    """Keeps the tables that it is given."""

    def __init__(self, config):
        super().__init__(config)
        self.tables = {}

    def write(self, unit, table, store):
        self.tables[unit] = table
        return super().write(unit, table, store)


def delivery_of(run):
    sink = Keeping(WriteLines.Config(unit_rows=4))
    commit = assign(run.lineage, sink, PLACES)
    return sink, DeliveryOperator(run.lineage, sink, SHARDS, commit, PLACES.folder), commit.units


def test_rows_of_many_parts_stand_in_their_places_when_a_unit_is_written(tmp_path):
    run = ByHand(tmp_path, "{kind: threshold, column: page, min: 1}, {kind: draw}, {kind: develop}", part_rows=7)
    run.all()
    sink, operator, units = delivery_of(run)
    for unit in range(units):
        operator.run(unit, None)
    living = [row for row in range(40) if row % 3 and row % 5]
    keys = {row: run.lineage.source_rows(row // 7)["key"][row % 7].as_py() for row in living}
    expected = sorted(living, key=keys.get)
    delivered = [row for unit in range(units) for row in sink.tables[unit]["row"].to_pylist()]
    assert delivered == expected
    whole = pa.concat_tables([sink.tables[unit] for unit in range(units)])
    assert whole["image"].to_pylist() == [f"u/{row}".encode() * 2 for row in expected]
    assert whole["page"].to_pylist() == [row % 3 for row in expected]
    assert whole["shard_position"].to_pylist()[:6] == [0, 1, 2, 3, 0, 1]


def test_columns_are_named_once_and_no_ends_when_delivered(tmp_path):
    run = ByHand(tmp_path, "{kind: threshold, column: page, min: 1}, {kind: draw}, {kind: develop}")
    run.all()
    assert delivered_columns(run.lineage) == ["row", "key", "url", "caption", "page", "http_status", "image", "width"]


def test_the_same_files_are_committed_when_a_unit_is_written_twice(tmp_path):
    run = ByHand(tmp_path, "{kind: draw}, {kind: develop}")
    run.all()
    _, operator, _ = delivery_of(run)
    first = operator.run(1, None).report
    before = run.store.read_bytes(SHARDS.commit(1)), run.store.read_bytes(f"{SHARDS.folder}/1.txt")
    run.store.delete(SHARDS.commit(1))
    assert operator.run(1, None).report == first
    assert (run.store.read_bytes(SHARDS.commit(1)), run.store.read_bytes(f"{SHARDS.folder}/1.txt")) == before
    assert (first.rows_in, first.kept) == (4, 4)


def test_nothing_is_written_when_somebody_else_has_committed_the_unit(tmp_path):
    run = ByHand(tmp_path, "{kind: draw}, {kind: develop}")
    run.all()
    _, operator, _ = delivery_of(run)
    operator.run(1, None)
    run.store.write_bytes(f"{SHARDS.folder}/1.txt", b"theirs")
    report = operator.run(1, None).report
    assert (report.rows_in, report.rows_measured, report.kept) == (4, 0, 4)
    assert run.store.read_bytes(f"{SHARDS.folder}/1.txt") == b"theirs"
