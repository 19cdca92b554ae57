"""Takes rows out of the pool: files that hold some are written anew without them, and the commits name the new ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import polars as pl
import pyarrow as pa

from curation.storage.column_groups import read_all, read_columns, write_columns
from curation.storage.layout import POOL
from curation.storage.store import Store
from curation.storage.stored_records import read_records
from schemas.records import PartCommit, PoolFile

_THREADS = 8
_MARK = "-r"
"""Stands before the number of the removal in the name of a file that was written anew."""


@dataclass
class PoolErasure:
    """What was done to the pool.

    Attributes:
        files: Files that were written anew.
        rows: Rows that these lack.
    """

    files: int = 0
    rows: int = 0


def erase_pool(store: Store, keys: pl.Series, number: int) -> PoolErasure:
    """Takes the rows of these keys out of every phase. Doing it again, or after a crash, comes to the same.

    Files that no commit names are deleted: crashed attempts hold rows, too.

    Args:
        store: Rooted at the run's folder, in which nobody else is writing.
        number: Of the removal, for the names of new files.
    """
    erasure = PoolErasure()
    for phase in store.list(POOL):
        _PhaseErasure(store, f"{POOL}/{phase}", keys, number).run(erasure)
    return erasure


def was_erased_from(path: str) -> bool:
    """Whether a file of the pool was written anew by a removal, so that it holds fewer rows than were measured."""
    return _MARK in PurePosixPath(path).stem


class _PhaseErasure:
    """One phase. New files are written first, then the commits are put in place, then the old files are deleted."""

    def __init__(self, store: Store, folder: str, keys: pl.Series, number: int) -> None:
        self._store = store
        self._files = store.child(folder)
        self._keys = keys
        self._number = number
        self._commits = self._read_commits()

    def _read_commits(self) -> dict[str, PartCommit]:
        scopes = [name for name in self._files.list("") if name.startswith("commits-")]
        paths = [f"{scope}/{name}" for scope in scopes for name in self._files.list(scope)]
        return read_records(self._files, paths, PartCommit)

    def run(self, erasure: PoolErasure) -> None:
        holders: dict[str, list[str]] = defaultdict(list)
        files: dict[str, PoolFile] = {}
        for path, commit in self._commits.items():
            for file in commit.files:
                holders[file.path].append(path)
                files[file.path] = file
        with ThreadPoolExecutor(_THREADS) as threads:
            found = threads.map(self._rows_to_go, files.values())
            for file, rows in zip(files.values(), found, strict=True):
                if len(rows):
                    self._replace(file, rows, holders[file.path])
                    erasure.files += 1
                    erasure.rows += len(rows)
        named = {file.path for commit in self._commits.values() for file in commit.files}
        for name in self._files.list("data"):
            if f"data/{name}" not in named:
                self._files.delete(f"data/{name}")

    def _rows_to_go(self, file: PoolFile) -> np.ndarray:
        held = read_columns(self._files, file, ["key"])
        keys = pl.Series(pl.from_arrow(held["key"]))
        return np.asarray(held["row"].to_numpy()[keys.is_in(self._keys.implode()).to_numpy()])

    def _replace(self, file: PoolFile, rows: np.ndarray, commits: Sequence[str]) -> None:
        table = read_all(self._files, file)
        left = table.filter(pa.array(~np.isin(table["row"].to_numpy(), rows)))
        path = PurePosixPath(file.path)
        name = f"{path.stem.partition(_MARK)[0]}{_MARK}{self._number}{path.suffix}"
        written = write_columns(self._files, str(path.with_name(name)), left)
        gone = set(rows.tolist())
        for place in commits:
            counted = [
                other
                if other.path != file.path
                else PoolFile(
                    **written.model_dump(),
                    revisit=other.revisit,
                    without=tuple(row for row in other.without if row not in gone),
                )
                for other in self._commits[place].files
            ]
            self._commits[place] = self._commits[place].model_copy(update={"files": tuple(counted)})
            self._files.write_bytes(place, self._commits[place].to_bytes())
        if file.path != written.path:
            self._files.delete(file.path)
