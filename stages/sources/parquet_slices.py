"""Slices of a Parquet file by row number, in memory of the slice and a few pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation.errors import CorruptionError, CurationError, TransientError, first_line
from curation.storage.parquet_files import is_of_the_store

_BATCH_ROWS = 8192
_BUFFER_BYTES = 4 * 2**20


def group_rows(file: pq.ParquetFile) -> list[int]:
    """Rows of each row group, from the footer."""
    return [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]


def read_slice(
    stream: IO[bytes], columns: Mapping[str, str], groups: Sequence[int], start: int, stop: int
) -> dict[str, pa.ChunkedArray]:
    """Rows [start, stop) of a file.

    Args:
        stream: The open file.
        columns: Names in the file by the names that are given back.
        groups: What `group_rows` said when the source was indexed.

    Raises:
        CorruptionError: The file has other row groups now.
    """
    # Without pre-buffering, columns are read page by page, not a whole row group at once. Pages are checked where their
    # writer has added checksums, as this project does.
    file = pq.ParquetFile(stream, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True)
    if group_rows(file) != list(groups):
        raise CorruptionError("it has changed since the source was indexed; start again to index it anew")
    ends = list(accumulate(groups))
    needed = [number for number, end in enumerate(ends) if end > start and end - groups[number] < stop]
    names = list(dict.fromkeys(columns.values()))
    schema = pa.schema([file.schema_arrow.field(name) for name in names])
    first = ends[needed[0]] - groups[needed[0]] if needed else 0
    pieces = []
    for batch in file.iter_batches(_BATCH_ROWS, row_groups=needed, columns=names) if needed else ():
        last = first + batch.num_rows
        if last > start:
            piece = batch.slice(max(0, start - first), min(stop, last) - max(start, first))
            pieces.append(piece.select(names))
        first = last
        if first >= stop:
            break
    table = pa.Table.from_batches(pieces, schema if not pieces else pieces[0].schema)
    return {name: table[source] for name, source in columns.items()}


def unreadable(path: str, error: Exception) -> CurationError:
    """The error for a file of the source that could not be read: whether to ask again, or to mend the file."""
    if is_of_the_store(error):
        return TransientError(f"{path}: cannot be read: {error}")
    return CorruptionError(f"{path}: cannot be read as Parquet: {first_line(error)}; put a whole copy in its place")


def overlaps(files: Sequence[Mapping[str, Any]], start: int, stop: int) -> Iterator[tuple[Mapping[str, Any], int, int]]:
    """The files that hold some of the rows [start, stop) of all of them, each with the range of its own rows.

    Args:
        files: Each with its rows by row group as `groups`.
    """
    first = 0
    for file in files:
        count = sum(file["groups"])
        begin, end = max(start - first, 0), min(stop - first, count)
        if begin < end:
            yield file, begin, end
        first += count
