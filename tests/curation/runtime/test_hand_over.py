"""Tables on their way from worker to worker."""

import pyarrow as pa
import pytest

from curation.engine.operator import Handover
from curation.runtime.ray_worker import _pack, _unpack
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
