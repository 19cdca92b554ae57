"""Hash partitions of a frame, written once and worked on one after the other in this process."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import polars as pl

from curation.storage.column_scan import collect_columns
from curation.storage.polars_access import polars_access
from curation.storage.store import Store

_PARTITION = "partition"
_FOLDER = "partitions-"
LEFT_AFTER = timedelta(days=1)


def delete_left_partitions(workspace: Store, older_than: timedelta = LEFT_AFTER) -> int:
    """Deletes the partitions that killed drivers have left, and returns of how many decisions they were.

    Partitions are written at once and then only read, so whatever was written last a day ago is surely not in use.

    Args:
        workspace: As of `LocalPartitions`.
        older_than: Younger ones may be those of a run that goes on.
    """
    left = [folder for folder in workspace.list("") if folder.startswith(_FOLDER)]
    if not left:
        return 0
    deleted = 0
    # By the clock that dates the files: this machine's may be wrong.
    before = workspace.now() - older_than
    for folder in left:
        try:
            times = [workspace.modified(f"{folder}/{file}") for file in workspace.list(folder)]
        except FileNotFoundError:
            # Someone is deleting it: it is in use, or being cleaned up already.
            continue
        if times and max(times) < before:
            workspace.delete_folder(folder)
            deleted += 1
    return deleted


class LocalPartitions:
    """Works on partitions one after the other, so that only one of them is in memory.

    Args:
        count: How many; with one, nothing is written.
        workspace: Where they are written for the time being.
    """

    def __init__(self, count: int, workspace: Store) -> None:
        self._count = count
        self._workspace = workspace

    def apply(
        self, frame: pl.LazyFrame, by: str, function: Callable[[pl.DataFrame], pl.DataFrame]
    ) -> Iterator[pl.DataFrame]:
        """Yields what the function makes of each partition."""
        if self._count == 1:
            yield function(collect_columns(frame))
            return
        with WrittenPartitions(frame, by, self._count, self._workspace) as files:
            for file in files:
                yield function(read_partition(self._workspace, file))


def read_partition(workspace: Store, file: str) -> pl.DataFrame:
    """One of the files of `WrittenPartitions`."""
    return pl.read_parquet(file, glob=False, **polars_access(workspace))


class WrittenPartitions:
    """A frame on disk, one file for each hash partition that has rows: a context that yields where they are.

    Args:
        frame: The rows; they pass through memory once, by and by.
        by: Column of hashes (UInt64).
        count: How many partitions.
        workspace: Where a folder is made for them, and removed at the end.
    """

    def __init__(self, frame: pl.LazyFrame, by: str, count: int, workspace: Store) -> None:
        self._frame = frame.with_columns((pl.col(by) % count).cast(pl.UInt32).alias(_PARTITION))
        self._store = workspace.child(f"{_FOLDER}{uuid.uuid4().hex[:12]}")

    def __enter__(self) -> list[str]:
        try:
            return self._written()
        except BaseException:
            self._delete()
            raise

    def __exit__(self, *exception: object) -> None:
        self._delete()

    def _written(self) -> list[str]:
        local = self._store.is_local
        scheme = pl.PartitionBy(
            self._store.locate("") if local else self._store.url,
            key=_PARTITION,
            include_key=False,
            approximate_bytes_per_file=None,
            file_path_provider=lambda args: f"{args.partition_keys[_PARTITION][0]:05d}.parquet",
        )
        self._frame.sink_parquet(scheme, mkdir=local, **polars_access(self._store))
        return [self._store.address(file) for file in self._store.list("")]

    def _delete(self) -> None:
        # An object store has no folder without files, and no disk has one if there was no row.
        self._store.delete_folder("")
