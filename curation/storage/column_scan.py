"""Lazy frames over Parquet files of a run, every page of which is checked as it is read: polars itself checks none."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.io.plugins import register_io_source

from curation.errors import CorruptionError
from curation.storage.parquet_files import groups_within, naming_damage, open_bytes, open_parquet
from curation.storage.store import Store
from curation.storage.store_failures import patiently
from curation.storage.stored_records import VERIFY_HINT

T = TypeVar("T")

BATCH_ROWS = 65_536
"""About so many rows are handed on at a time, which bounds what whoever takes them holds."""
VECTOR_BATCH_ROWS = 8_192
"""The same where there are lists among the columns."""
_BATCHES_READ = 4
"""So many batches are read from a disk at a time: each read costs some milliseconds."""
_AHEAD = max(3, min(16, os.cpu_count() or 1))
_AHEAD_IN_STORE = 16
"""Reads of an object store under way: each waits much longer than it works."""
_FRAMES_AHEAD = 2
"""Frames that are judged while the next are read."""


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """A file to read.

    Attributes:
        rows: How many it has to hold; None where nobody has said.
        size_bytes: None where nobody has said.
        footer_crc32: As of `ColumnFile`; None where nobody has said.
    """

    path: str
    rows: int | None = None
    size_bytes: int | None = None
    footer_crc32: int | None = None


def scan_columns(
    store: Store,
    files: Sequence[ScannedFile],
    schema: pa.Schema,
    *,
    rows: range | None = None,
    may_lack: bool = False,
) -> pl.LazyFrame:
    """The rows of all files in their order. Only columns that are asked for are read.

    Collecting it raises CorruptionError where a file is gone or is not what was written.

    Args:
        schema: Names and types that the files have to have.
        rows: Only these, by the column `row`; row groups without any are not read.
        may_lack: Columns that a file does not have are null, and not an error; those that it has beside them are one.
    """
    expected = pl.Schema(pl.DataFrame(pl.from_arrow(schema.empty_table())).schema)

    def batches(
        wanted: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        del batch_size
        names = schema.names if wanted is None else wanted
        asked = pa.schema([schema.field(name) for name in dict.fromkeys([*names, *(["row"] if rows else [])])])
        ahead = _AHEAD if store.is_local else _AHEAD_IN_STORE
        with ThreadPoolExecutor(ahead, "scan") as threads:
            read = _tables(threads, ahead, store, files, asked, rows, schema.names if may_lack else None)
            tables = _gathered(read, _batch_rows(asked))
            frames = _in_order(threads, (partial(_frame, table, rows) for table in tables), _FRAMES_AHEAD)
            # Polars counts rows before it judges them.
            first = _first(frames, n_rows)
            judged = _in_order(threads, (partial(_judged, frame, predicate, names) for frame in first), _FRAMES_AHEAD)
            yield from _in_batches(judged, _batch_rows(asked))

    return register_io_source(batches, schema=expected, is_pure=False)


def collect_columns(frame: pl.LazyFrame) -> pl.DataFrame:
    """All rows of a frame over files, for whoever holds them and goes on working in memory.

    What they were read with, and Arrow would keep for itself, is given back: memory that is at hand costs a tenth of
    what fresh memory costs. (From the main thread: Arrow's allocator gives back what threads left behind only there.)
    """
    rows = frame.collect(engine="streaming")
    pa.default_memory_pool().release_unused()
    return rows


def read_schema(store: Store, file: ScannedFile) -> pa.Schema:
    """Names and types of the columns of a file. Raises CorruptionError where it cannot be read."""

    def read() -> pa.Schema:
        with closing(_CheckedFile(store, file)) as opened:
            return opened.schema.remove_metadata()

    return patiently(read)


def _frame(table: pa.Table, rows: range | None) -> pl.DataFrame:
    frame = pl.DataFrame(pl.from_arrow(table))
    return frame if rows is None else frame.filter(pl.col("row").is_between(rows.start, rows.stop, "left"))


def _first(frames: Iterable[pl.DataFrame], n_rows: int | None) -> Iterator[pl.DataFrame]:
    """So many rows of the frames."""
    if n_rows is None:
        yield from frames
        return
    for frame in frames:
        if len(frame) >= n_rows:
            yield frame.head(n_rows)
            return
        n_rows -= len(frame)
        yield frame


def _judged(frame: pl.DataFrame, predicate: pl.Expr | None, names: Sequence[str]) -> pl.DataFrame:
    """Columns of the rows that a condition holds of."""
    if predicate is None or not len(frame):
        return frame.select(names)
    holds = frame.select(predicate).to_series()
    if len(holds) == holds.sum() == len(frame):
        # A filter would copy all the same.
        return frame.select(names)
    # What holds of no column in particular is one value.
    chosen = frame.filter(holds if len(holds) == len(frame) else predicate).select(names)
    if 2 * len(chosen) > len(frame):
        return chosen
    # Polars only points at texts: a few of them would keep the others.
    texts = [name for name, kind in chosen.schema.items() if kind == pl.String]
    return chosen.with_columns(
        pl.Series(name, chosen[name].to_arrow(compat_level=pl.CompatLevel.oldest())) for name in texts
    )


def _batch_rows(schema: pa.Schema) -> int:
    return VECTOR_BATCH_ROWS if any(pa.types.is_nested(field.type) for field in schema) else BATCH_ROWS


def _in_batches(frames: Iterable[pl.DataFrame], batch_rows: int) -> Iterator[pl.DataFrame]:
    """Large frames in pieces, and none without rows: some expressions of polars panic over them."""
    for frame in frames:
        for start in range(0, len(frame), batch_rows):
            yield frame.slice(start, batch_rows)


def _gathered(tables: Iterable[pa.Table], batch_rows: int) -> Iterator[pa.Table]:
    """Small tables together: parts have a few thousand rows, and every frame that is handed on costs something."""
    waiting: list[pa.Table] = []
    count = 0
    for table in tables:
        if not table.num_rows:
            # Some expressions of polars panic over a chunk of no rows.
            continue
        waiting.append(table)
        count += table.num_rows
        if count >= batch_rows:
            yield pa.concat_tables(waiting)
            waiting, count = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def _tables(
    threads: Executor,
    ahead: int,
    store: Store,
    files: Sequence[ScannedFile],
    schema: pa.Schema,
    rows: range | None,
    known: Sequence[str] | None,
) -> Iterator[pa.Table]:
    opened = _in_order(threads, (partial(_CheckedFile, store, file) for file in files), ahead)
    reads = (partial(file.read, groups, schema, known) for file in opened for groups in file.chunks(schema, rows))
    yield from _in_order(threads, reads, ahead)


def _in_order(threads: Executor, tasks: Iterable[Callable[[], T]], ahead: int) -> Iterator[T]:
    """What tasks give, in their order, with some of them under way."""
    going: deque[Future[T]] = deque()
    for task in tasks:
        going.append(threads.submit(patiently, task))
        if len(going) >= ahead:
            yield going.popleft().result()
    while going:
        yield going.popleft().result()


class _CheckedFile:
    """A Parquet file, opened; several threads may ask it for tables at once.

    Raises:
        CorruptionError: It is gone, or is not what was written.
    """

    def __init__(self, store: Store, file: ScannedFile) -> None:
        self._store = store
        self._file = file
        self._place = store.locate(file.path)
        with naming_damage(self._place):
            first = self._another(None)
        self.schema = first.schema_arrow
        self._metadata = metadata = first.metadata
        # One that is in use serves one thread.
        self._lock = threading.Lock()
        self._idle = [first]
        self._unread = 0
        self._groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        counted = sum(group.num_rows for group in self._groups)
        for stated in (metadata.num_rows, file.rows):
            if stated not in (None, counted):
                raise self._damage(f"holds {counted} rows, not {stated}")

    def _another(self, metadata: pq.FileMetaData | None) -> pq.ParquetFile:
        raw = open_bytes(self._store, self._file.path, self._file.size_bytes)
        try:
            crc32 = self._file.footer_crc32
            return open_parquet(raw, is_local=self._store.is_local, crc32=crc32, metadata=metadata)
        except BaseException:
            raw.close()
            raise

    @contextmanager
    def _opened(self) -> Iterator[pq.ParquetFile]:
        """The file for one thread; each that was opened is closed when all chunks were read."""
        with self._lock:
            parquet = self._idle.pop() if self._idle else None
        parquet = parquet or self._another(self._metadata)
        yield parquet
        with self._lock:
            self._idle.append(parquet)
            self._unread -= 1
            if not self._unread:
                self.close()

    def close(self) -> None:
        """Closes it."""
        while self._idle:
            self._idle.pop().close(force=True)

    def chunks(self, schema: pa.Schema, rows: range | None) -> Sequence[list[int]]:
        """Numbers of row groups to `read` at a time: when each was read, the file is closed; of no groups, one list."""
        limit = _batch_rows(schema) * (_BATCHES_READ if self._store.is_local else 1)
        chunks: list[list[int]] = [[]]
        count = 0
        for number in self._groups_of(rows):
            count += self._groups[number].num_rows
            if chunks[-1] and count > limit:
                chunks.append([])
                count = self._groups[number].num_rows
            chunks[-1].append(number)
        self._unread = len(chunks)
        return chunks

    def _groups_of(self, rows: range | None) -> Iterable[int]:
        if rows is None or "row" not in self.schema.names:
            return range(len(self._groups))
        return groups_within(self._metadata, "row", rows.start, rows.stop - 1)

    def read(self, groups: list[int], schema: pa.Schema, known: Sequence[str] | None = None) -> pa.Table:
        """Columns of some row groups, as the schema has them.

        Args:
            known: All columns that the file may have, if it may lack some of the schema's.

        Raises:
            CorruptionError: They are not what was written.
            TransientError: The store did not give them this time: ask again.
        """
        there = self._there(schema, known)
        with naming_damage(self._place), self._opened() as parquet:
            table = parquet.read_row_groups(groups, there.names)
        # Not of every file it is known whether its footer is what was written.
        counted = sum(self._groups[number].num_rows for number in groups)
        if table.num_rows != counted:
            raise self._damage(f"gave {table.num_rows} rows, not {counted}")
        columns = [
            table[field.name] if field.name in there.names else pa.nulls(counted, field.type) for field in schema
        ]
        return pa.Table.from_arrays(columns, schema=pa.schema([field.with_nullable(True) for field in schema]))

    def _there(self, schema: pa.Schema, known: Sequence[str] | None) -> pa.Schema:
        """Those of the columns that the file has."""
        there = [field for field in schema if field.name in self.schema.names]
        if known is not None and (others := set(self.schema.names).difference(known)):
            raise self._damage(f"has a column {min(others)}, which others do not have")
        if len(there) < len(schema) and known is None:
            missing = ", ".join(sorted(set(schema.names).difference(self.schema.names)))
            raise self._damage(f"has no column {missing}")
        for field in there:
            if (found := self.schema.field(field.name).type) != field.type:
                raise self._damage(f"its column {field.name} is {found}, not {field.type}")
        return pa.schema(there)

    def _damage(self, problem: str) -> CorruptionError:
        return CorruptionError(f"{self._place}: {problem}; {VERIFY_HINT}")
