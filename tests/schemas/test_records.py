"""Records: the same bytes for the same values, and nothing read that is not understood."""

import pytest
from pydantic import ValidationError

from schemas.records import (
    ColumnFile,
    DecisionCommit,
    FileRecord,
    PartCommit,
    PoolFile,
    Revisit,
    Revisited,
    RunItem,
    RunRecord,
    UnitCommit,
    UnitReport,
)

FILE = FileRecord(path="data/00000003-a.parquet", rows=7, size_bytes=120, sha256="ab" * 32)
COLUMNS = ColumnFile(**FILE.model_dump(), footer_crc32=4_000_000_000)
RECORDS = [
    PartCommit(
        part=3,
        rows_in=9,
        rows_measured=7,
        files=(PoolFile(**FILE.model_dump(), revisit=2, without=(31, 35)),),
        revisit=2,
        editions="ab",
        revisited=Revisited(asked=5, failed_before={"http_gone": 2}, unchanged=1, healed=1, lost=3),
    ),
    Revisit(number=3, kind="retry", reasons=("http_gone",), phases=("ab", "cd")),
    DecisionCommit(step="select", rows_in=9, rejected={"select.min": 2}, file=COLUMNS, by_unit=COLUMNS, units=2),
    UnitCommit(unit=1, files=(FILE, FILE)),
    UnitReport(unit=1, rejected={"a.b": 1}, failed={"http_gone": 2}, seconds={"a": 0.5}, error="ValueError: x"),
    RunRecord(
        recipe="r",
        state="running",
        rows=9,
        parts=1,
        part_rows=10,
        items=(RunItem(kind="phase", name="a", folder="pool/a", commits="pool/a/commits", units=1, quarantined=(0,)),),
    ),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_comes_back_equal_when_it_was_written(record):
    data = record.to_bytes()
    again = type(record).model_validate_json(data)
    assert again == record
    assert again.to_bytes() == data
    assert data.endswith(b"\n")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_refused_when_it_has_a_key_from_elsewhere(record):
    data = record.to_bytes().rstrip().removesuffix(b"}") + b', "from_the_future": 1}'
    with pytest.raises(ValidationError, match="from_the_future"):
        type(record).model_validate_json(data)


@pytest.mark.parametrize("kind", [PartCommit, DecisionCommit, UnitCommit, RunRecord])
def test_a_record_is_refused_when_it_is_of_another_version(kind):
    record = next(record for record in RECORDS if isinstance(record, kind))
    with pytest.raises(ValidationError, match="version"):
        kind.model_validate_json(record.to_bytes().replace(b'"version": 1', b'"version": 2'))


def test_every_figure_is_summed_when_what_two_parts_came_to_is_added():
    one = Revisited(asked=5, failed_before={"http_gone": 2}, unchanged=1, unreached=1, healed=1, lost=2)
    other = Revisited(asked=7, failed_before={"http_gone": 1, "deadline": 4}, unchanged=3, lost=1)
    assert one + other == Revisited(
        asked=12, failed_before={"http_gone": 3, "deadline": 4}, unchanged=4, unreached=1, healed=1, lost=3
    )


def test_a_record_cannot_be_changed_when_it_is_made():
    with pytest.raises(ValidationError, match="frozen"):
        FILE.rows = 8
