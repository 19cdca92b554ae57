"""Tables of some rows, one for each piece of a part: made often, so that what Arrow does for each of them counts."""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack

import pyarrow as pa


def with_columns(
    table: pa.Table, fields: Sequence[pa.Field[pa.DataType]], columns: Sequence[pa.Array | pa.ChunkedArray]
) -> pa.Table:
    """The table with further columns, all at once: each that is appended by itself makes another table."""
    schema = pa.schema([*table.schema, *fields], metadata=table.schema.metadata)
    return pa.table([*table.columns, *columns], schema=schema)


def uncopied(values: Sequence[bytes | None]) -> pa.ChunkedArray:
    """A large_binary column that refers to the bytes where they lie, a chunk for each: for bodies and images."""
    kind = pa.large_binary()
    chunks = [
        pa.nulls(1, kind)
        if value is None
        else pa.Array.from_buffers(kind, 1, [None, pa.py_buffer(pack("=qq", 0, len(value))), pa.py_buffer(value)])
        for value in values
    ]
    return pa.chunked_array(chunks, kind)
