"""A Ray Data source that yields the numbers of units, one row and one block each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata


class UnitsSource(Datasource):
    """Units as rows of `unit` (int64).

    One block for each unit makes a unit what Ray Data schedules, retries and counts.
    """

    def __init__(self, units: Sequence[int]) -> None:
        self._units = list(units)

    def estimate_inmemory_data_size(self) -> int:
        """Eight bytes a unit."""
        return 8 * len(self._units)

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: object = None
    ) -> list[ReadTask]:
        """One task for each unit, whatever parallelism is asked for."""
        del parallelism, data_context
        return [_read_task(unit, per_task_row_limit) for unit in self._units]


def _read_task(unit: int, per_task_row_limit: int | None) -> ReadTask:
    metadata = BlockMetadata(num_rows=1, size_bytes=8, input_files=None, exec_stats=None)

    def read() -> Iterable[pa.Table]:
        return [pa.table({"unit": pa.array([unit], pa.int64())})]

    return ReadTask(read, metadata, per_task_row_limit=per_task_row_limit)
