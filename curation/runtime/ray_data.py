"""The runner on Ray Data: one row and one block per unit, every operator a pool of actors."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext

from curation.contracts.exchange import Partitions
from curation.engine.meters import Meter, NoMeter
from curation.engine.operator import Handover, Operator
from curation.errors import CorruptionError
from curation.plan.pools import UNITS_PER_WORKER, unit_seconds
from curation.plan.sizing import ClusterResources, size_pools
from curation.runtime.attempts import attempt
from curation.runtime.ray_partitions import RayPartitions
from curation.runtime.ray_shared import ActorLink, start_shared, stop_shared
from curation.runtime.worker_times import StepTimes, WorkerTimes
from curation.storage.store import Store
from schemas.records import UnitReport

logger = logging.getLogger(__name__)


FIRST_PARTS = 20
"""Where costs are unknown and there are so many units a worker, the first ones are run apart, to size the pools by."""


@dataclass(frozen=True)
class _Crew:
    """An operator, its number of workers and the most that it may grow to, and what they share."""

    operator: Operator
    size: int
    most: int
    links: Mapping[str, ActorLink]


class RayRunner:
    """Runs pipelines on a Ray cluster: the one at `address` or RAY_ADDRESS, or one of its own on this machine.

    Args:
        max_tries: Tries of a unit before it is reported with its error; a crashed worker counts as a try.
        max_workers: Most workers of one operator.
        meter: Counts what workers do.
        metrics_port: Where a Ray of its own offers its figures to Prometheus; None: where it likes.
    """

    def __init__(
        self,
        max_tries: int = 3,
        max_workers: int | None = None,
        address: str | None = None,
        *,
        meter: Meter | None = None,
        metrics_port: int | None = None,
    ) -> None:
        self._max_tries = max_tries
        self._max_workers = max_workers
        self._address = address
        self._meter = meter or NoMeter()
        self._metrics_port = metrics_port
        self._started = False
        self._tries: Any = None

    def capacity(self) -> ClusterResources:
        """What the cluster has; starts or joins it."""
        self._start()
        return cluster_resources()

    def run(self, operators: Sequence[Operator], units: Sequence[int], on_report: Callable[[UnitReport], None]) -> None:
        """Calls `on_report` once for each unit.

        Raises:
            PlanError: The operators do not fit the cluster.
            CorruptionError: What a unit found.
        """
        self._start()
        costs = [unit_seconds(operator.steps, operator.costs, 1) for operator in operators]
        first = self._first_parts(operators, len(units), costs)
        if first:
            times = StepTimes(on_report)
            self._in_pools(operators, units[:first], times.hear, costs)
            costs = [times.row_seconds(operator.steps) for operator in operators]
        self._in_pools(operators, units[first:], on_report, costs)

    def _first_parts(self, operators: Sequence[Operator], units: int, costs: Sequence[float | None]) -> int:
        """How many units to run for the sake of the sizes; none where nothing hangs on it, or all is measured."""
        known = [cost.origin == "measured" for operator in operators for cost in operator.costs.values()]
        if len(operators) == 1 or (all(known) and None not in costs):
            return 0
        workers = sum(self._sizes(operators, units, costs))
        return UNITS_PER_WORKER * workers if units >= FIRST_PARTS * workers else 0

    def _sizes(self, operators: Sequence[Operator], units: int, costs: Sequence[float | None]) -> list[int]:
        needs = [(operator.name, operator.resources) for operator in operators]
        return size_pools(needs, cluster_resources(), units, self._max_workers, costs)

    def _in_pools(
        self,
        operators: Sequence[Operator],
        units: Sequence[int],
        on_report: Callable[[UnitReport], None],
        costs: Sequence[float | None],
    ) -> None:
        sizes = self._sizes(operators, len(units), costs)
        crew = []
        try:
            for operator, size in zip(operators, sizes, strict=True):
                # A Ray of its own is this machine and stays so; a cluster that was joined may get more nodes.
                most = size if self._is_own else max(size, min(len(units), self._max_workers or len(units)))
                # As many copies as twice the workers need: their number stays, whoever joins.
                links = start_shared(operator.shared, min(most, 2 * size))
                crew.append(_Crew(operator, size, most, links))
            self._until_done(crew, units, on_report)
        finally:
            for each in crew:
                stop_shared(each.links)

    @property
    def _is_own(self) -> bool:
        return self._started and self._address is None and not os.environ.get("RAY_ADDRESS")

    def _until_done(self, crew: Sequence[_Crew], units: Sequence[int], on_report: Callable[[UnitReport], None]) -> None:
        tries = self._fresh_tries()
        pending = list(units)
        while pending:
            failed: list[int] = []
            for report in self._once(crew, pending, tries):
                if report.fatal:
                    raise CorruptionError(report.error or "")
                if report.error is not None and not ray.get(tries.exhausted.remote(report.unit)):
                    failed.append(report.unit)
                else:
                    on_report(report)
            pending = sorted(failed)

    def _fresh_tries(self) -> Any:
        """The count of tries, at nought: one actor for all runs, since a process costs more than what it does."""
        if self._tries is None:
            self._tries = _TriesActor.remote(self._max_tries)  # type: ignore[attr-defined]
        ray.get(self._tries.forget.remote())
        return self._tries

    def _start(self) -> None:
        if self._started or ray.is_initialized():
            return
        # What goes wrong comes back as an exception or a report; Ray's own words would drown the progress.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        logging.getLogger("ray").setLevel(logging.ERROR)
        port: dict[str, Any] = {} if self._metrics_port is None else {"_metrics_export_port": self._metrics_port}
        with _own_sigterm_handler():
            ray.init(
                address=self._address,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **port,
            )
        self._started = True

    def _once(self, crew: Sequence[_Crew], units: Sequence[int], tries: Any) -> Iterator[UnitReport]:
        """Yields a report for each unit as it is done."""
        _quiet()
        # One block for each unit makes a unit what Ray Data schedules, retries and counts. The driver puts them: read
        # tasks would start a process each or, if they needed CPUs, wait for ever behind the actors that hold all.
        rows = ray.data.from_blocks([pa.table({"unit": pa.array([unit], pa.int64())}) for unit in units])
        for place, each in enumerate(crew):
            # Ray Data replaces a dead worker and tries its unit again without end; the count of tries ends that.
            rows = rows.map_batches(
                _Worker,
                fn_constructor_args=(each.operator, place, tries, each.links, self._meter),
                # A batch is a unit. Ray Data wants that said of workers with GPUs, where None would do as well.
                batch_size=1,
                batch_format="pyarrow",
                zero_copy_batch=True,
                # What was planned is there from the start and stays. A pool whose workers all have a unit waiting takes
                # what comes free or joins: Ray Data looks for it every 20 s.
                compute=ActorPoolStrategy(min_size=each.size, max_size=max(each.size, each.most)),
                num_cpus=each.operator.resources.cpus,
                num_gpus=each.operator.resources.gpus or None,
                memory=each.operator.resources.memory_bytes,
            )
        for batch in rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            table: pa.Table = batch
            for document in table["report"].to_pylist():
                yield UnitReport.model_validate_json(document)

    def partitions(self, count: int, workspace: Store) -> Partitions:
        """Works on hash partitions of a frame in tasks on the cluster."""
        self._start()
        return RayPartitions(count, workspace)

    def close(self) -> None:
        """Stops Ray, if this runner has started it."""
        if self._started:
            ray.shutdown()
            self._started = False
            self._tries = None


@contextlib.contextmanager
def _own_sigterm_handler() -> Iterator[None]:
    """Keeps what the process does at SIGTERM: joining a cluster would have it exit with code 15, nothing noted."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def cluster_resources() -> ClusterResources:
    """CPUs, GPUs and memory of the whole cluster, whoever holds them."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return ClusterResources(
        cpus=resources.get("CPU", 0.0), gpus=resources.get("GPU", 0.0), memory_bytes=resources.get("memory", 0.0)
    )


def _quiet() -> None:
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.verbose_progress = False
    context.print_on_execution_start = False
    # Each worker would look up its memory every second.
    context.memory_usage_poll_interval_s = None
    logging.getLogger("ray.data").setLevel(logging.ERROR)


@ray.remote(num_cpus=0)
class _TriesActor:
    """Counts how often each operator began each unit, so that one that kills its worker is not tried for ever."""

    def __init__(self, max_tries: int) -> None:
        self._max_tries = max_tries
        self._begun: dict[tuple[int, int], int] = {}

    def forget(self) -> None:
        """Starts anew."""
        self._begun.clear()

    def begin(self, unit: int, place: int) -> bool:
        """Counts a try of the operator at the place; False if the unit has had all of its tries there."""
        self._begun[unit, place] = self._begun.get((unit, place), 0) + 1
        return self._begun[unit, place] <= self._max_tries

    def exhausted(self, unit: int) -> bool:
        """Whether the unit has no try left at one of the operators."""
        return any(begun >= self._max_tries for (of, _), begun in self._begun.items() if of == unit)


class _Worker:
    """One actor of an operator's pool. Rows are `{unit, payload, report}`; a row with a report passes through."""

    def __init__(
        self, operator: Operator, place: int, tries: Any, links: Mapping[str, ActorLink], meter: Meter
    ) -> None:
        # Arrow's own pool gives the memory of each part back to the kernel, which clears it again for the next part:
        # a third of what a fetching worker does. The C library keeps it.
        pa.set_memory_pool(pa.system_memory_pool())
        self._operator = operator
        self._place = place
        self._tries = tries
        self._times = WorkerTimes(meter, operator)
        self._operator.connect(links)
        self._operator.setup()
        self._times.wait()

    def __del__(self) -> None:
        # Ray Data drops the worker when its pool has no more to do.
        self._operator.close()

    def __call__(self, batch: pa.Table) -> pa.Table:
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
        if ray.get(self._tries.begin.remote(unit, self._place)):
            self._times.begin()
            handover = attempt(self._operator, unit, table)
            self._times.end(handover)
            return handover
        error = f"{self._operator.name} crashed its worker at every try"
        return Handover(report=UnitReport(unit=unit, error=error))


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
