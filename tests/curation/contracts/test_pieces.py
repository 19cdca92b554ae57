import gc

import pyarrow as pa

from curation.contracts.pieces import uncopied, with_columns


def test_columns_follow_those_of_the_table_when_they_are_added():
    table = pa.table({"row": [0, 1]}, schema=pa.schema([pa.field("row", pa.int64(), nullable=False)], {"a": "b"}))
    fields = [pa.field("width", pa.int32()), pa.field("kept", pa.bool_())]
    wider = with_columns(table, fields, [pa.array([3, None], pa.int32()), pa.chunked_array([[True], [False]])])
    assert wider.to_pydict() == {"row": [0, 1], "width": [3, None], "kept": [True, False]}
    assert wider.schema.metadata == {b"a": b"b"}
    assert [field.nullable for field in wider.schema] == [False, True, True]


def test_bytes_are_there_as_long_as_the_column_is_when_they_are_not_copied():
    values = [bytes([number]) * (1 << 16) for number in range(4)]
    column = uncopied([values[0], None, b"", *values[1:]])
    assert column.type == pa.large_binary()
    place = column.chunk(0).buffers()[2].address
    del values
    gc.collect()
    assert column.chunk(0).buffers()[2].address == place
    assert [value and value[0] for value in column.to_pylist()] == [0, None, b"", 1, 2, 3]
    assert column.combine_chunks().equals(pa.array(column.to_pylist(), pa.large_binary()))


def test_a_column_of_no_values_has_no_rows():
    assert len(uncopied([])) == 0
