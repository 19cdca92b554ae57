"""A worker of the runner on Ray Data, and how a unit travels from one to the next."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.engine.meters import Meter
from curation.engine.operator import Handover, Operator
from curation.errors import CurationError
from curation.masking import mask, mask_process, remember
from curation.runtime.attempts import attempt
from curation.runtime.ray_shared import ActorLink
from curation.runtime.secrets import Lender
from curation.runtime.tries import Tries
from curation.runtime.worker_times import WorkerTimes
from schemas.records import UnitReport

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Equipment:
    """What a worker gets beside its operator.

    Attributes:
        place: Of the operator in its pipeline, from 0.
        tries: Counts the tries of units.
        links: To what the workers of a step share, by the step's name.
        meter: Counts what the worker does.
        lender: Of the variables of the driver's environment that it is to have, too.
        masked: Values that it must not show, whatever it says.
    """

    place: int
    tries: Tries
    links: Mapping[str, ActorLink]
    meter: Meter
    lender: Lender | None = None
    masked: Sequence[str] = ()


class Worker:
    """One actor of an operator's pool. Rows are `{unit, payload, report}`; a row with a report passes through."""

    def __init__(self, operator: Operator, equipment: Equipment) -> None:
        remember(equipment.masked)
        mask_process()
        # Arrow's own pool gives the memory of each part back to the kernel, which clears it again for the next part:
        # a third of what a fetching worker does. The C library keeps it.
        pa.set_memory_pool(pa.system_memory_pool())
        if equipment.lender is not None:
            equipment.lender.take()
        self._operator = operator
        self._place = equipment.place
        self._tries = equipment.tries
        self._times = WorkerTimes(equipment.meter, operator)
        self._operator.connect(equipment.links)
        self._set_up()
        self._times.wait()

    def _set_up(self) -> None:
        try:
            self._operator.setup()
        except Exception as error:
            logger.warning("%s cannot be set up", self._operator.name, exc_info=True)
            raise CurationError(f"{self._operator.name}: {mask(f'{type(error).__name__}: {error}')}") from None

    def __del__(self) -> None:
        # Ray Data drops the worker when its pool has no more to do. When the process itself ends, as it does without a
        # raylet, other threads stand still already: waiting for one of them would never end.
        if not sys.is_finalizing():
            self._operator.close()

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Does the operator's work for each unit of a batch."""
        rows = [self._row(batch.slice(i, 1)) for i in range(batch.num_rows)]
        return pa.concat_tables(rows)

    def _row(self, row: pa.Table) -> pa.Table:
        unit = row["unit"][0].as_py()
        if self._place == 0:
            return _pack(unit, self._try(unit, None))
        if row["report"][0].is_valid:
            return row
        return _pack(unit, self._try(unit, _unpack(row)))

    def _try(self, unit: int, table: pa.Table | None) -> Handover:
        if self._tries.begin(unit, self._place):
            self._times.begin()
            handover = attempt(self._operator, unit, table)
            self._times.end(handover)
            return handover
        error = f"{self._operator.name} crashed its worker at every try"
        return Handover(report=UnitReport(unit=unit, error=error))


def worker_class(name: str) -> type[Worker]:
    """Workers under the name of what they do, by which Ray's dashboard, logs and metrics show them."""
    return type(name.replace("-", "_"), (Worker,), {})


_ROW = pa.schema([("unit", pa.int64()), ("payload", pa.large_binary()), ("report", pa.string())])


def _pack(unit: int, handover: Handover) -> pa.Table:
    report = handover.report.model_dump_json() if handover.report else None
    columns = [pa.array([unit], pa.int64()), _payload(handover.table), pa.array([report], pa.string())]
    return pa.table(columns, schema=_ROW)


def _payload(table: pa.Table | None) -> pa.Array:
    """The table as one value; its bytes are written once and not copied into the array."""
    if table is None:
        return pa.nulls(1, pa.large_binary())
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data = sink.getvalue()
    offsets = pa.py_buffer(np.array([0, data.size], np.int64))
    return pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, data])


def _unpack(row: pa.Table) -> pa.Table:
    return pa.ipc.open_stream(row["payload"][0].as_buffer()).read_all()
