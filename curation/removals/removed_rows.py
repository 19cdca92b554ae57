"""Which rows of a source are removed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curation.contracts.source import Source, SourceIndex
from curation.plan.fingerprints import digest
from curation.removals.matcher import Matcher
from curation.storage.layout import SOURCE_WORKSPACE, removed_rows_path
from curation.storage.store import Store
from schemas.records import Removal

logger = logging.getLogger(__name__)

REMOVED = "removed"
"""The rule that rejects removed rows."""
REMOVAL_STEP = "remove"
"""What the ledger calls the step at which they end."""
_SLICE_ROWS = 65_536


def _no_rows(kind: type) -> np.ndarray:
    return np.empty(0, kind)


@dataclass(frozen=True)
class RemovedRows:
    """Rows that are dead: before the first step, or behind the one that saw where their URLs lead.

    Attributes:
        rows: (n,) int64, ascending.
        numbers: The removal that means each: (n,) int32.
    """

    rows: np.ndarray = field(default_factory=lambda: _no_rows(np.int64))
    numbers: np.ndarray = field(default_factory=lambda: _no_rows(np.int32))

    @cached_property
    def fingerprint(self) -> str | None:
        """Of the rows and their removals; None where no row is removed."""
        if not len(self.rows):
            return None
        return sha256(self.rows.astype("<i8").tobytes() + self.numbers.astype("<i4").tobytes()).hexdigest()[:32]

    def between(self, start: int, stop: int) -> RemovedRows:
        """Those in [start, stop)."""
        first, last = np.searchsorted(self.rows, [start, stop])
        return RemovedRows(self.rows[first:last], self.numbers[first:last])

    def and_also(self, others: RemovedRows) -> RemovedRows:
        """These and others. A row of both keeps the number that it has here."""
        new = ~np.isin(others.rows, self.rows)
        rows = np.concatenate([self.rows, others.rows[new]])
        return RemovedRows(rows, np.concatenate([self.numbers, others.numbers[new]])).sorted()

    def sorted(self) -> RemovedRows:
        """The same, in ascending order of rows."""
        order = np.argsort(self.rows, kind="stable")
        return RemovedRows(self.rows[order], self.numbers[order])

    @property
    def details(self) -> dict[int, str]:
        """Which removal means each row, as the ledger tells it."""
        chosen = zip(self.rows.tolist(), self.numbers.tolist(), strict=True)
        return {row: f"removal {number}" for row, number in chosen}


def removed_rows(store: Store, source: Source, index: SourceIndex, removals: tuple[Removal, ...]) -> RemovedRows:
    """Looks for removed rows in the whole source, once for each state of it and of the removals.

    Args:
        store: Rooted at the run's folder.
    """
    if not removals:
        return RemovedRows()
    path = removed_rows_path(digest("removed", index.fingerprint, [removal.number for removal in removals]))
    return remembered_rows(store, path, lambda: _search(store, source, index, Matcher(removals)))


def remembered_rows(store: Store, path: str, search: Callable[[], RemovedRows]) -> RemovedRows:
    """What a search has found, looked up where it was made before."""
    if store.exists(path):
        try:
            with store.open_read(path) as file:
                table = pq.read_table(file, page_checksum_verification=True)
            return RemovedRows(table["row"].to_numpy(), table["number"].to_numpy())
        except (OSError, ValueError, KeyError) as error:
            logger.warning("%s: cannot be used (%s): the rows are looked for again", store.locate(path), error)
    found = search()
    table = pa.table({"row": pa.array(found.rows, pa.int64()), "number": pa.array(found.numbers, pa.int32())})
    with store.open_write(path) as file:
        pq.write_table(table, file, write_page_checksum=True)
    return found


def _search(store: Store, source: Source, index: SourceIndex, matcher: Matcher) -> RemovedRows:
    workspace = store.child(SOURCE_WORKSPACE)
    rows, numbers = [_no_rows(np.int64)], [_no_rows(np.int32)]
    for start in range(0, index.rows, _SLICE_ROWS):
        table = source.read(index, start, min(start + _SLICE_ROWS, index.rows), workspace)
        frame = pl.from_arrow(table.select(["row", "key", "url"]))
        assert isinstance(frame, pl.DataFrame)
        found = matcher.by_any(frame, ["url"])
        rows.append(frame["row"].to_numpy()[found > 0])
        numbers.append(found[found > 0])
    return RemovedRows(np.concatenate(rows), np.concatenate(numbers))
