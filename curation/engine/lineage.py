"""The state of a run as workers see it: where the rows come from, and what was committed before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from curation.contracts.source import Source, SourceIndex
from curation.errors import CorruptionError
from curation.removals.removed_rows import RemovedRows
from curation.storage.column_groups import read_columns
from curation.storage.layout import SOURCE_WORKSPACE, DecisionLayout, PhaseLayout
from curation.storage.store import Store
from curation.storage.stored_records import read_record, read_records
from schemas.columns import COLUMNS
from schemas.records import DecisionCommit, PartCommit, PoolFile


@dataclass(frozen=True)
class MeasuredItem:
    """A phase that has been run, and the columns it wrote.

    Attributes:
        set_aside: Parts that the run has set aside. A run beside this one may have committed them since; what is
            decided and delivered here goes by what the fingerprints say, which is that their rows are dead.
    """

    layout: PhaseLayout
    columns: tuple[str, ...]
    set_aside: frozenset[int] = frozenset()


@dataclass(frozen=True)
class DecidedItem:
    """An exchange that has been decided; `step` is its name."""

    layout: DecisionLayout
    step: str
    columns: tuple[str, ...]
    commit: DecisionCommit


@dataclass(frozen=True)
class Lineage:
    """Everything before the present item. Can be pickled; reads only what was committed.

    Attributes:
        store: Rooted at the run's folder.
        items: What was done so far, in order.
        removed: Rows that are dead from the start.
    """

    store: Store
    source: Source
    index: SourceIndex
    part_rows: int
    items: tuple[MeasuredItem | DecidedItem, ...] = ()
    removed: RemovedRows = field(default_factory=RemovedRows)
    _workspace: Store = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_workspace", self.store.child(SOURCE_WORKSPACE))

    def then(self, item: MeasuredItem | DecidedItem) -> Lineage:
        """The lineage with one item more."""
        return replace(self, items=(*self.items, item))

    @property
    def parts(self) -> int:
        """Number of parts of the source."""
        return -(-self.index.rows // self.part_rows)

    def bounds(self, part: int) -> tuple[int, int]:
        """First row of a part, and the row behind its last."""
        start = part * self.part_rows
        return start, min(start + self.part_rows, self.index.rows)

    def source_rows(self, part: int) -> pa.Table:
        """All rows of a part with every column of the source.

        Raises:
            CorruptionError: The source has lost rows since it was indexed.
        """
        start, stop = self.bounds(part)
        table = self.source.read(self.index, start, stop, self._workspace)
        if table.num_rows != stop - start:
            raise CorruptionError(
                f"source {self.source.config.step_name}: gave {table.num_rows} rows for rows {start} to {stop}; it has "
                "changed since the run began: run again"
            )
        return table

    def live_rows(self, part: int) -> np.ndarray:
        """Rows of a part that are still alive: (n,) int64, ascending. None, where a phase before set the part aside."""
        last_decision = max((i for i, item in enumerate(self.items) if isinstance(item, DecidedItem)), default=None)
        rows = np.arange(*self.bounds(part), dtype=np.int64)
        rows = rows[~np.isin(rows, self.removed.between(*self.bounds(part)).rows)]
        # A verdict names every row that was alive then, so nothing before the last one has to be read.
        for item in self.items[last_decision or 0 :]:
            ends = self.ends(item, part, rows, ["reason"] if isinstance(item, DecidedItem) else ["outcome"])
            rows = np.sort(ends["row"].to_numpy()[np.array(ends.column(1).is_null(), dtype=bool)])
        return rows

    def ends(self, item: MeasuredItem | DecidedItem, part: int, rows: np.ndarray, columns: Sequence[str]) -> pa.Table:
        """`row` and columns that an item wrote, for those of the rows that it knows."""
        if isinstance(item, DecidedItem):
            folder = self.store.child(item.layout.folder)
            return read_columns(folder, item.commit.file, columns, rows).select(["row", *columns])
        commit = self.part_commit(item, part)
        folder = self.store.child(item.layout.folder)
        tables = (
            [read_columns(folder, file, columns, counted_rows(file, rows)) for file in commit.files] if commit else []
        )
        if not tables:
            return self.schema_of(dict.fromkeys(["row", *columns])).empty_table()
        return pa.concat_tables(tables, promote_options="default").select(["row", *columns])

    def editions(self, part: int, rows: np.ndarray, columns: Iterable[str]) -> np.ndarray:
        """At which revisit the newest of the columns of each row was measured: (n,) int64, 0 before the first."""
        # Of the source there are no editions, though phases persist some of it: it is part of every measure.
        wanted = set(columns) - set(self.index.columns.names)
        newest = np.zeros(len(rows), np.int64)
        for item in self.items:
            if isinstance(item, DecidedItem) or not wanted & set(item.columns):
                continue
            commit = self.part_commit(item, part)
            for file in commit.files if commit else ():
                if file.revisit:
                    held = read_columns(self.store.child(item.layout.folder), file, [], counted_rows(file, rows))
                    places = np.searchsorted(rows, held["row"].to_numpy())
                    newest[places] = np.maximum(newest[places], file.revisit)
        return newest

    def schema_of(self, columns: Iterable[str]) -> pa.Schema:
        """The Arrow schema of columns, those that the source carries along included."""
        carried = self.index.columns
        return pa.schema([carried.field(name) if name in carried.names else COLUMNS[name].field for name in columns])

    def part_commit(self, item: MeasuredItem, part: int) -> PartCommit | None:
        """The commit of a part, None where the phase has set it aside."""
        if part in item.set_aside:
            return None
        try:
            return read_record(self.store, item.layout.commit(part), PartCommit)
        except FileNotFoundError:
            return None

    def part_commits(self, item: MeasuredItem, parts: range | None = None) -> list[PartCommit]:
        """The commits of every part, or of some, that the phase has not set aside."""
        parts = range(self.parts) if parts is None else parts
        paths = [item.layout.commit(part) for part in parts if part not in item.set_aside]
        return list(read_records(self.store, paths, PartCommit).values())

    def columns_of(self, part: int, rows: np.ndarray, columns: Iterable[str]) -> pa.Table:
        """`row`, `key` and the named columns for the given rows of a part, in ascending order of rows.

        Raises:
            CorruptionError: A committed file does not hold a row that it should.
        """
        wanted = list(dict.fromkeys(columns))
        own = [name for name in self.index.columns.names if name in wanted or name in ("row", "key")]
        start, _ = self.bounds(part)
        table = self.source_rows(part).select(own).take(pa.array(rows - start, pa.int64()))
        for item in self.items:
            # What a phase persists of the source was read from the source already.
            made = [name for name in item.columns if name in wanted and name not in own]
            if made:
                values = self.ends(item, part, rows, made)
                missing = rows[~np.isin(rows, values["row"].to_numpy())]
                if len(missing):
                    folder = self.store.locate(item.layout.folder)
                    raise CorruptionError(f"{folder}: holds nothing of row {missing[0]} of part {part}, which is alive")
                table = _joined(table, values, made)
        return table.select([name for name in dict.fromkeys(["row", "key", *wanted]) if name in table.column_names])


def counted_rows(file: PoolFile, rows: np.ndarray) -> np.ndarray:
    """Those of the rows whose measurement is to be read from the file, if it holds them at all: (n,) int64, sorted."""
    return rows[~np.isin(rows, file.without)] if file.without else rows


def _joined(table: pa.Table, values: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Adds columns by row; `values` knows every row of the table."""
    held = values["row"].to_numpy()
    order = np.argsort(held, kind="stable")
    indices = pa.array(order[np.searchsorted(held[order], table["row"].to_numpy())], pa.int64())
    for name in columns:
        table = table.append_column(values.schema.field(name).with_nullable(True), values[name].take(indices))
    return table
