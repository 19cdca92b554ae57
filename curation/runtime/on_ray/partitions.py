"""Hash partitions of a frame, worked on by Ray tasks with a limit to the memory of each."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import polars as pl
import ray
from ray.exceptions import RayError

from curation.errors import CurationError
from curation.masking import known_values, mask_process, remember
from curation.runtime.on_ray.secrets import Lender
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
        lender: Of the secrets that tasks need to reach the workspace, None where they need none.
    """

    def __init__(
        self,
        count: int,
        workspace: Store,
        memory_bytes: int = WORKER_MEMORY_BYTES,
        lender: Lender | None = None,
    ) -> None:
        self._count = count
        self._workspace = workspace
        self._memory_bytes = memory_bytes
        self._lender = lender

    def apply(
        self, frame: pl.LazyFrame, by: str, function: Callable[[pl.DataFrame], pl.DataFrame]
    ) -> Iterator[pl.DataFrame]:
        """Yields what the function makes of each partition.

        Raises:
            CurationError: It failed on one of them, as often as it was tried.
        """
        # A process has its limit to the end of its life: it gets no other task.
        task = ray.remote(num_cpus=1, max_calls=1, max_retries=3)(_apply)
        with WrittenPartitions(frame, by, self._count, self._workspace) as files:
            more = (self._workspace, self._memory_bytes, self._lender, known_values())
            pending = [task.remote(function, file, *more) for file in files]
            while pending:
                yield _done(pending.pop(0), self._memory_bytes)


def _done(task: Any, memory_bytes: int) -> pl.DataFrame:
    try:
        return ray.get(task)  # type: ignore[no-any-return]
    except MemoryError as error:
        raise CurationError(
            f"a partition of the rows needs more than the {memory_bytes >> 20} MiB that a task gets; make "
            "run.partition_rows smaller"
        ) from error
    except RayError as error:
        cause = (str(getattr(error, "cause", None) or error).strip() or type(error).__name__).splitlines()[-1]
        raise CurationError(f"a partition of the rows cannot be worked on: {cause}") from error


def _apply(
    function: Callable[[pl.DataFrame], pl.DataFrame],
    file: str,
    workspace: Store,
    memory_bytes: int,
    lender: Lender | None,
    masked: Sequence[str],
) -> pl.DataFrame:
    remember(masked)
    mask_process()
    if lender is not None:
        lender.take()
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    return function(read_partition(workspace, file))
