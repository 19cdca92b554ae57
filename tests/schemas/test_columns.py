"""The registry of columns: each once, each explained."""

import pyarrow as pa
import pyarrow.parquet
import pytest

import schemas.columns
from schemas.columns import COLUMNS, Role, schema_of


def test_no_column_shadows_another_when_the_registry_is_built():
    groups = [
        make() for name, make in vars(schemas.columns).items() if name.startswith("_") and name.endswith("_columns")
    ]
    names = [column.name for group in groups for column in group]
    assert sorted(names) == sorted(COLUMNS)


@pytest.mark.parametrize("column", COLUMNS.values(), ids=lambda column: column.name)
def test_a_column_can_be_written_and_read_back_when_it_is_registered(column, tmp_path):
    table = pa.table([pa.nulls(2, column.type)], schema=pa.schema([column.field.with_nullable(True)]))
    pa.parquet.write_table(table, tmp_path / "x.parquet")
    assert pa.parquet.read_table(tmp_path / "x.parquet").schema.field(0).type == column.type
    assert column.meaning


def test_bytes_are_never_scalar_when_they_can_be_large():
    heavy = {name for name, column in COLUMNS.items() if pa.types.is_large_binary(column.type)}
    assert heavy == {"body", "image"}
    assert all(COLUMNS[name].role in (Role.PAYLOAD, Role.TRANSIENT) for name in heavy)


def test_fields_stand_in_the_order_asked_for_when_a_schema_is_made():
    schema = schema_of("width", "row", "image")
    assert schema.names == ["width", "row", "image"]
    assert [field.nullable for field in schema] == [True, False, True]


def test_an_unknown_column_is_an_error_when_a_schema_is_made():
    with pytest.raises(KeyError, match="widht"):
        schema_of("row", "widht")


def test_the_registry_cannot_be_changed_when_it_is_shared():
    with pytest.raises(TypeError):
        COLUMNS["row"] = COLUMNS["key"]
