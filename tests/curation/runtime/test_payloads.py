"""Tables on their way from worker to worker, and the boundary at which errors become reports."""

import pyarrow as pa
import pytest

from curation.engine.operator import Handover, Operator
from curation.errors import CorruptionError, StageError
from curation.runtime.attempts import attempt
from curation.runtime.in_process import InProcessRunner
from curation.runtime.ray_data import _pack, _unpack
from schemas.records import UnitReport


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"row": [1, 2], "body": pa.array([b"x" * 5000, None], pa.large_binary())}),
        pa.table({"row": pa.array([], pa.int64())}),
        pa.concat_tables([pa.table({"row": [1]}), pa.table({"row": [2]})]).replace_schema_metadata({"seconds": "{}"}),
    ],
)
def test_a_table_comes_out_as_it_went_in_when_it_is_handed_over(table):
    row = _pack(7, Handover(table=table))
    assert row.num_rows == 1
    assert row["unit"].to_pylist() == [7]
    assert row["report"].to_pylist() == [None]
    again = _unpack(row)
    assert again.equals(table)
    assert again.schema.metadata == table.schema.metadata


def test_a_report_goes_without_a_table_when_a_unit_is_done():
    row = _pack(7, Handover(report=UnitReport(unit=7, kept=3)))
    assert row["payload"].to_pylist() == [None]
    assert UnitReport.model_validate_json(row["report"][0].as_py()).kept == 3


def test_rows_can_be_joined_when_some_have_a_table_and_some_a_report():
    rows = [_pack(1, Handover(table=pa.table({"row": [5]}))), _pack(2, Handover(report=UnitReport(unit=2)))]
    joined = pa.concat_tables(rows)
    assert _unpack(joined.slice(0, 1))["row"].to_pylist() == [5]


class Scripted(Operator):
    """Does in turn what it is told: raises an error or reports."""

    name = "scripted"

    def __init__(self, *turns):
        self.turns = list(turns)
        self.calls = []

    def setup(self):
        self.calls.append("setup")

    def close(self):
        self.calls.append("close")

    def run(self, unit, table):
        self.calls.append(unit)
        turn = self.turns.pop(0)
        if isinstance(turn, BaseException):
            raise turn
        return turn


DONE = Handover(report=UnitReport(unit=0, kept=1))


@pytest.mark.parametrize(
    ("error", "text", "fatal"),
    [
        (ValueError("broken"), "ValueError: broken", False),
        (StageError("lost a row", stage="draw", part=3), "StageError: part 3, step draw: lost a row", False),
        (MemoryError(), "MemoryError: ", False),
        (CorruptionError("x.parquet: is gone"), "x.parquet: is gone", True),
    ],
)
def test_an_error_is_a_report_when_it_reaches_the_boundary(error, text, fatal):
    report = attempt(Scripted(error), 3, None).report
    assert (report.unit, report.error, report.fatal) == (3, text, fatal)


def test_an_interruption_is_none_of_it_when_it_reaches_the_boundary():
    with pytest.raises(KeyboardInterrupt):
        attempt(Scripted(KeyboardInterrupt()), 3, None)


def run(*turns, units=(0,), max_tries=3):
    operator, reports = Scripted(*turns), []
    try:
        InProcessRunner(max_tries).run([operator], list(units), reports.append)
    finally:
        assert operator.calls.count("setup") == operator.calls.count("close") == 1
        assert operator.calls[-1] == "close"
    return operator.calls[1:-1], reports


def test_a_unit_is_tried_until_it_is_done_when_it_fails_at_first():
    calls, reports = run(ValueError(), ValueError(), DONE)
    assert (calls, reports) == ([0, 0, 0], [DONE.report])


def test_the_last_error_is_reported_when_every_try_fails():
    calls, (report,) = run(ValueError("first"), ValueError("second"), max_tries=2)
    assert (calls, report.error) == ([0, 0], "ValueError: second")


def test_the_others_are_done_when_one_unit_fails():
    calls, reports = run(ValueError("bad"), DONE, units=(0, 1), max_tries=1)
    assert calls == [0, 1]
    assert [report.error for report in reports] == ["ValueError: bad", None]


def test_it_stops_at_once_when_data_is_damaged():
    with pytest.raises(CorruptionError, match="is gone"):
        run(CorruptionError("x.parquet: is gone"), DONE, units=(0, 1))
