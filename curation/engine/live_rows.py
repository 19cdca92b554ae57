"""Which rows are alive, and columns of theirs, as lazy frames over the committed files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial, reduce

import polars as pl
import pyarrow as pa
from polars.io.plugins import register_io_source

from curation.engine.beside_vectors import beside_vectors, is_vector
from curation.engine.lineage import DecidedItem, Lineage, MeasuredItem
from curation.engine.stage_chain import END_COLUMNS
from curation.storage.column_scan import ScannedFile, read_schema, scan_columns
from curation.storage.store import Store
from schemas.columns import COLUMNS
from schemas.records import ColumnFile, PartCommit, PoolFile

ROWS_AT_ONCE = 1_000_000
"""Rows of the source whose columns are joined, and whose verdicts are sorted, at a time."""


def live_frame(lineage: Lineage, columns: Sequence[str]) -> pl.LazyFrame:
    """`row`, `key` and columns of every row that is still alive, as a lazy frame over the committed files.

    Where columns of several items have to be joined and there are many rows, they are joined some parts at a time as
    the frame is read, so that memory is bounded by `ROWS_AT_ONCE`.
    """
    names = list(dict.fromkeys(["row", "key", *columns]))
    vectors = [name for name in names if is_vector(name)]
    if vectors:
        rows = live_frame(lineage, [name for name in names if name not in vectors])
        return beside_vectors(rows, _vectors_frame(lineage, vectors)).select(names)
    joined = len(_sources(lineage, names)) > 1
    if not joined or lineage.index.rows <= ROWS_AT_ONCE:
        return _live_frame(lineage, names)

    def batches(
        wanted: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        for parts in slices_of_parts(lineage):
            frame = _live_frame(lineage, names, parts)
            if n_rows is not None:
                # Polars counts rows before it judges them.
                frame = frame.head(n_rows).collect(engine="streaming").lazy()
                n_rows -= frame.select(pl.len()).collect().item()
            # The condition is not handed on: each source in Python would have it pickled, with the rows that it holds.
            piece = frame.select(wanted or names).collect(engine="streaming")
            yield piece if predicate is None else piece.filter(predicate)
            if n_rows == 0:
                return

    schema = _live_frame(lineage, names, range(1)).collect_schema()
    return register_io_source(batches, schema=schema, is_pure=True)


def _vectors_frame(lineage: Lineage, names: Sequence[str]) -> pl.LazyFrame:
    """`row` and vectors, of rows that are no longer alive too. Those of several phases are joined: held in memory."""
    frames = [
        item_frame(lineage, lineage.items[number], None).select("row", *held)
        for number, columns in _sources(lineage, names).items()
        if (held := [name for name in columns if name in names])
    ]
    joined = reduce(partial(pl.LazyFrame.join, on="row"), frames)
    # Polars pickles conditions that it hands to a source in Python: those on vectors hold the rows of all.
    return joined.map_batches(_unchanged, projection_pushdown=True, streamable=True, validate_output_schema=False)


def _unchanged(frame: pl.DataFrame) -> pl.DataFrame:
    return frame


def slices_of_parts(lineage: Lineage) -> Iterator[range]:
    """All parts in order, in ranges of about `ROWS_AT_ONCE` rows."""
    step = max(1, ROWS_AT_ONCE // lineage.part_rows)
    yield from (range(start, min(start + step, lineage.parts)) for start in range(0, lineage.parts, step))


def rows_of(lineage: Lineage, parts: range) -> pl.Expr:
    """Whether a row is of some parts."""
    return pl.col("row").is_between(lineage.bounds(parts[0])[0], lineage.bounds(parts[-1])[1], closed="left")


def _sources(lineage: Lineage, columns: Sequence[str]) -> dict[int, list[str]]:
    """By the number of the item, those of the columns that are read from it."""
    if not lineage.items:
        raise AssertionError("an exchange needs a phase before it")
    last = len(lineage.items) - 1
    sources: dict[int, list[str]] = {number: [] for number in range(_first_telling(lineage), last)}
    sources[last] = ["row", "key"]
    for name in columns:
        holders = [number for number, item in enumerate(lineage.items) if name in item.columns]
        if name not in ("row", "key") and holders:
            sources.setdefault(holders[-1], []).append(name)
    return sources


def _first_telling(lineage: Lineage) -> int:
    """The first item that has to be asked who lives: a verdict names all that were alive then, so the last decision."""
    decisions = (number for number, item in enumerate(lineage.items) if isinstance(item, DecidedItem))
    return max(decisions, default=0)


def _live_frame(lineage: Lineage, names: Sequence[str], parts: range | None = None) -> pl.LazyFrame:
    sources = _sources(lineage, names)
    last = len(lineage.items) - 1
    result = _living(lineage, last, parts).select(sources.pop(last))
    telling = _first_telling(lineage)
    # A decision, too, may name a row that was found to be removed only behind it.
    if len(lineage.removed.rows):
        result = result.join(pl.LazyFrame({"row": lineage.removed.rows}), on="row", how="anti", maintain_order="left")
    for number, columns in sources.items():
        if number >= telling:
            living = _living(lineage, number, parts).select("row", *columns)
            result = result.join(living, on="row", how="inner", maintain_order="left")
        else:
            values = item_frame(lineage, lineage.items[number], parts).select("row", *columns)
            result = result.join(values, on="row", how="left", maintain_order="left")
    return result.select(names)


def living_keys(lineage: Lineage, parts: range) -> pl.LazyFrame:
    """`row` and `key` of the rows of some parts that are still alive."""
    return _live_frame(lineage, ["row", "key"], parts)


def _living(lineage: Lineage, number: int, parts: range | None) -> pl.LazyFrame:
    """What an item wrote of the rows that it did not end."""
    item = lineage.items[number]
    end = "reason" if isinstance(item, DecidedItem) else "outcome"
    return item_frame(lineage, item, parts).filter(pl.col(end).is_null())


def item_frame(lineage: Lineage, item: MeasuredItem | DecidedItem, parts: range | None = None) -> pl.LazyFrame:
    """Everything an item wrote of some parts, or of all, rows that are no longer alive included."""
    store = lineage.store.child(item.layout.folder)
    if isinstance(item, DecidedItem):
        # That of a sink has no keys.
        keys = () if item.commit.by_unit else ("key",)
        rows = None if parts is None else range(lineage.bounds(parts[0])[0], lineage.bounds(parts[-1])[1])
        return _scan(store, [item.commit.file], ["row", *keys, "reason", "detail", *item.columns], rows)
    names = list(dict.fromkeys(["row", "key", *item.columns, *END_COLUMNS]))
    frames = []
    for files in _without_overlap(lineage.part_commits(item, parts)):
        frame = _scan(store, files, names)
        without = [row for file in files for row in file.without]
        if without:
            frame = frame.join(pl.LazyFrame({"row": without}, {"row": pl.Int64}), on="row", how="anti")
        frames.append(frame)
    if not frames:
        empty = lineage.schema_of(names).empty_table()
        return pl.from_arrow(empty).lazy()  # type: ignore[union-attr]
    return pl.concat(frames) if len(frames) > 1 else frames[0]


def _without_overlap(commits: Iterable[PartCommit]) -> Iterator[list[PoolFile]]:
    """All files of the commits, in groups in which one may leave out what no other of the group is to give.

    The rows that a file leaves out are given by another file of the same commit: the two are in different groups.
    """
    whole: list[PoolFile] = []
    groups: list[list[PoolFile]] = []
    for commit in commits:
        whole += [file for file in commit.files if not file.without]
        for place, file in enumerate(file for file in commit.files if file.without):
            if place == len(groups):
                groups.append([])
            groups[place].append(file)
    yield from (group for group in (whole, *groups) if group)


def _scan(store: Store, files: Sequence[ColumnFile], columns: Sequence[str], rows: range | None = None) -> pl.LazyFrame:
    """Columns of committed files, checked as they are read."""
    scanned = [ScannedFile(file.path, file.rows, file.size_bytes, file.footer_crc32) for file in files]
    schema = pa.schema([COLUMNS[name].field for name in columns if name in COLUMNS])
    if len(schema) < len(columns):
        # What the source carries along has whatever type it had.
        carried = read_schema(store, scanned[0])
        schema = pa.schema([COLUMNS[name].field if name in COLUMNS else carried.field(name) for name in columns])
    return scan_columns(store, scanned, schema, rows=rows)
