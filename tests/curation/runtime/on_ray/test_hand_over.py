"""Tables on their way from worker to worker."""

import pyarrow as pa
import pytest

from curation.engine.operator import Handover
from curation.runtime.on_ray.worker import pack, unpack
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
    note, payload = pack(Handover(table=table))
    assert note.report is None
    assert note.payload_bytes == payload.size
    again = unpack(payload)
    assert again.equals(table)
    assert again.schema.metadata == table.schema.metadata


def test_a_report_goes_without_a_table_when_a_unit_is_done():
    note, payload = pack(Handover(report=UnitReport(unit=7, kept=3)))
    assert payload is None
    assert UnitReport.model_validate_json(note.report).kept == 3
