"""A worker of the runner on Ray, and how a unit travels from one to the next."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import ray

from curation.engine.meters import Meter
from curation.engine.operator import Handover, Operator
from curation.errors import CurationError
from curation.masking import mask, mask_process, remember
from curation.runtime.attempts import attempt
from curation.runtime.on_ray.secrets import Lender
from curation.runtime.on_ray.shared import ActorLink
from curation.runtime.on_ray.worker_times import WorkerTimes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Equipment:
    """What a worker gets beside its operator.

    Attributes:
        links: To what the workers of a step share, by the step's name.
        meter: Counts what the worker does.
        lender: Of the variables of the driver's environment that it is to have, too.
        masked: Values that it must not show, whatever it says.
    """

    links: Mapping[str, ActorLink]
    meter: Meter
    lender: Lender | None = None
    masked: Sequence[str] = ()


class Note(NamedTuple):
    """What the driver is told of a unit: the report as JSON, or what the next worker is handed weighs."""

    report: str | None
    payload_bytes: int = 0


class Worker:
    """One actor of an operator's pool."""

    def present(self) -> None:
        """Answers as soon as there is a process, which holds its processors."""

    def prepare(self, operator: Operator, equipment: Equipment) -> None:
        """Sets the operator up."""
        remember(equipment.masked)
        mask_process()
        # Arrow's own pool gives the memory of each part back to the kernel, which clears it again for the next part:
        # a third of what a fetching worker does. The C library keeps it.
        pa.set_memory_pool(pa.system_memory_pool())
        if equipment.lender is not None:
            equipment.lender.take()
        self._operator = operator
        self._times = WorkerTimes(equipment.meter, operator)
        operator.connect(equipment.links)
        try:
            operator.setup()
        except Exception as error:
            logger.warning("%s cannot be set up", operator.name, exc_info=True)
            raise CurationError(f"{operator.name}: {mask(f'{type(error).__name__}: {error}')}") from None
        self._times.wait()

    @ray.method(num_returns=2)
    def work(self, unit: int, payload: pa.Buffer | None) -> tuple[Note, pa.Buffer | None]:
        """Does the operator's work for a unit.

        Args:
            payload: What the operator before handed over, None for the first one.
        """
        self._times.begin()
        handover = attempt(self._operator, unit, None if payload is None else unpack(payload))
        self._times.end(handover)
        return pack(handover)

    def close(self) -> None:
        """Lets go of what the operator holds."""
        self._operator.close()


def worker_class(name: str) -> type[Worker]:
    """Workers under the name of what they do, by which Ray's dashboard, logs and metrics show them."""
    return type(name.replace("-", "_"), (Worker,), {})


def pack(handover: Handover) -> tuple[Note, pa.Buffer | None]:
    """A handover as it travels: the table as an Arrow IPC stream, which Ray gives out without copying."""
    if handover.report is not None:
        return Note(handover.report.model_dump_json()), None
    if handover.table is None:
        raise AssertionError("an operator hands over a table or a report")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, handover.table.schema) as writer:
        writer.write_table(handover.table)
    payload = sink.getvalue()
    return Note(None, payload.size), payload


def unpack(payload: pa.Buffer) -> pa.Table:
    """The table that was packed. Its columns lie in the payload's memory."""
    return pa.ipc.open_stream(payload).read_all()
