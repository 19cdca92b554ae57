"""Hash partitions of a frame, worked on by Ray tasks with a limit to the memory of each."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator

import polars as pl
import ray

from curation.runtime.partitions import WrittenPartitions, read_partition
from curation.storage.store import Store

WORKER_MEMORY_BYTES = 1 << 30


class RayPartitions:
    """Works on partitions in Ray tasks, as many at a time as there are processors. Ray must have been started.

    Args:
        count: How many partitions.
        workspace: Where they are written for the time being; every node must reach it.
        memory_bytes: What each task gets. The kernel refuses it more, so a partition that is too large is an error, not
            the end of a node.
    """

    def __init__(self, count: int, workspace: Store, memory_bytes: int = WORKER_MEMORY_BYTES) -> None:
        self._count = count
        self._workspace = workspace
        self._memory_bytes = memory_bytes

    def apply(
        self, frame: pl.LazyFrame, by: str, function: Callable[[pl.DataFrame], pl.DataFrame]
    ) -> Iterator[pl.DataFrame]:
        """Yields what the function makes of each partition."""
        # A process has its limit to the end of its life: it gets no other task.
        task = ray.remote(num_cpus=1, max_calls=1, max_retries=3)(_apply)
        with WrittenPartitions(frame, by, self._count, self._workspace) as files:
            pending = [task.remote(function, self._workspace, file, self._memory_bytes) for file in files]
            while pending:
                yield ray.get(pending.pop(0))


def _apply(
    function: Callable[[pl.DataFrame], pl.DataFrame], workspace: Store, file: str, memory_bytes: int
) -> pl.DataFrame:
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    return function(read_partition(workspace, file))
