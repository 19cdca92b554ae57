"""The runner on Ray Data: one row and one block per unit, every operator a pool of actors."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext
from ray.exceptions import RayError

from curation.contracts.exchange import Partitions
from curation.engine.meters import Meter, NoMeter
from curation.engine.operator import Operator
from curation.errors import CorruptionError, CurationError
from curation.masking import known_values, mask
from curation.plan.placement import SHARE, Node, Placed, place_pools
from curation.plan.pools import UNITS_PER_WORKER, unit_seconds
from curation.plan.queue_depth import queue_depth, windows
from curation.runtime.ray_nodes import cluster_nodes
from curation.runtime.ray_partitions import RayPartitions
from curation.runtime.ray_shared import ActorLink, start_shared, stop_shared
from curation.runtime.ray_start import join_or_start_ray
from curation.runtime.ray_worker import Equipment, worker_class
from curation.runtime.secrets import Lender, lend
from curation.runtime.tries import Tries
from curation.runtime.worker_times import StepTimes
from curation.storage.store import Store
from schemas.records import UnitReport

FIRST_PARTS = 20
"""Where costs are unknown and there are so many units a worker, the first ones are run apart, to size the pools by."""
MOST_UNITS = 50_000
"""Units of one pipeline of Ray Data, which remembers each of them to its end; then comes the next."""


@dataclass(frozen=True)
class _Crew:
    """An operator, its workers, the most that they may become, and what they share."""

    operator: Operator
    placed: Placed
    most: int
    links: Mapping[str, ActorLink]


class RayRunner:
    """Runs pipelines on a Ray cluster: the one at `address` or RAY_ADDRESS, or one of its own on this machine.

    Args:
        max_tries: Tries of a unit before it is reported with its error; a crashed worker counts as a try.
        max_workers: Most workers of one operator.
        secrets: Names of variables of this process's environment that workers on all nodes are to have, too.
        meter: Counts what workers do.
        metrics_port: Where a Ray of its own offers its figures to Prometheus; None: where it likes.
    """

    def __init__(
        self,
        max_tries: int = 3,
        max_workers: int | None = None,
        address: str | None = None,
        *,
        secrets: Sequence[str] = (),
        meter: Meter | None = None,
        metrics_port: int | None = None,
    ) -> None:
        self._max_tries = max_tries
        self._max_workers = max_workers
        self._address = address
        self._secrets = secrets
        self._meter = meter or NoMeter()
        self._metrics_port = metrics_port
        self._lender: Lender | None = None
        self._started = False

    def capacity(self) -> Sequence[Node]:
        """What the cluster has; starts or joins it."""
        self._start()
        return cluster_nodes()

    def run(self, operators: Sequence[Operator], units: Sequence[int], on_report: Callable[[UnitReport], None]) -> None:
        """Calls `on_report` once for each unit.

        Raises:
            PlanError: The operators do not fit the cluster.
            CorruptionError: What a unit found.
            CurationError: Workers cannot be set up, or Ray is at its end.
        """
        try:
            self._run(operators, units, on_report)
        except RayError as error:
            raise CurationError(_cause(error)) from error

    def _run(
        self, operators: Sequence[Operator], units: Sequence[int], on_report: Callable[[UnitReport], None]
    ) -> None:
        self._start()
        costs = [unit_seconds(operator.steps, operator.costs, 1) for operator in operators]
        first = self._first_parts(operators, len(units), costs)
        if first:
            times = StepTimes(on_report)
            self._in_pools(operators, units[:first], times.hear, costs)
            # Where the first ones tell nothing, since they all failed, what was known before is as good as it gets.
            told = [times.row_seconds(operator.steps) for operator in operators]
            costs = [before if now is None else now for before, now in zip(costs, told, strict=True)]
        self._in_pools(operators, units[first:], on_report, costs)

    def _first_parts(self, operators: Sequence[Operator], units: int, costs: Sequence[float | None]) -> int:
        """How many units to run for the sake of the sizes; none where nothing hangs on it, or all is measured."""
        known = [cost.origin == "measured" for operator in operators for cost in operator.costs.values()]
        if len(operators) == 1 or (all(known) and None not in costs):
            return 0
        workers = sum(placed.workers for placed in self._placed(operators, units, costs))
        return UNITS_PER_WORKER * workers if units >= FIRST_PARTS * workers else 0

    def _placed(self, operators: Sequence[Operator], units: int, costs: Sequence[float | None]) -> list[Placed]:
        needs = [(operator.name, operator.resources) for operator in operators]
        return place_pools(needs, cluster_nodes(), units, self._max_workers, costs)

    def _in_pools(
        self,
        operators: Sequence[Operator],
        units: Sequence[int],
        on_report: Callable[[UnitReport], None],
        costs: Sequence[float | None],
    ) -> None:
        crew: list[_Crew] = []
        try:
            for operator, placed in zip(operators, self._placed(operators, len(units), costs), strict=True):
                size = placed.workers
                # A Ray of its own is this machine and stays so; a cluster that was joined may get more nodes.
                most = size if self._is_own else max(size, min(len(units), self._max_workers or len(units)))
                # As many copies as twice the workers need: their number stays, whoever joins.
                links = start_shared(operator.shared, min(most, 2 * size))
                crew.append(_Crew(operator, placed, most, links))
            self._until_done(crew, units, on_report)
        finally:
            for each in crew:
                stop_shared(each.links)

    @property
    def _is_own(self) -> bool:
        return self._started and self._address is None and not os.environ.get("RAY_ADDRESS")

    def _until_done(self, crew: Sequence[_Crew], units: Sequence[int], on_report: Callable[[UnitReport], None]) -> None:
        for some in windows(units, MOST_UNITS):
            tries = Tries(self._max_tries)
            try:
                self._some(crew, some, tries, on_report)
            finally:
                tries.forget()

    def _some(
        self, crew: Sequence[_Crew], units: Sequence[int], tries: Tries, on_report: Callable[[UnitReport], None]
    ) -> None:
        pending = list(units)
        while pending:
            failed: list[int] = []
            # Closed at once where something is raised: else the pipeline would go on behind its back.
            with closing(self._once(crew, pending, tries)) as reports:
                for report in reports:
                    if report.fatal:
                        raise CorruptionError(report.error or "")
                    if report.error is not None and not tries.exhausted(report.unit, len(crew)):
                        failed.append(report.unit)
                    else:
                        on_report(report)
            pending = sorted(failed)

    def _once(self, crew: Sequence[_Crew], units: Sequence[int], tries: Tries) -> Generator[UnitReport, None, None]:
        """Yields a report for each unit as it is done."""
        _quiet()
        # One block for each unit makes a unit what Ray Data schedules, retries and counts. The driver puts them: read
        # tasks would start a process each or, if they needed CPUs, wait for ever behind the actors that hold all.
        rows = ray.data.from_blocks([pa.table({"unit": pa.array([unit], pa.int64())}) for unit in units])
        for place, each in enumerate(crew):
            # Of units that are tried again there may be fewer than workers.
            size, needs = min(each.placed.workers, len(units)), each.operator.resources
            # Ray Data replaces a dead worker and tries its unit again without end; the count of tries ends that.
            rows = rows.map_batches(
                worker_class(each.operator.name),
                fn_constructor_args=(
                    each.operator,
                    Equipment(place, tries, each.links, self._meter, self._lend(), known_values()),
                ),
                # A batch is a unit. Ray Data wants that said of workers with GPUs, where None would do as well.
                batch_size=1,
                batch_format="pyarrow",
                zero_copy_batch=True,
                # What was planned is there from the start and stays. A pool whose workers all have a unit waiting takes
                # what comes free or joins: Ray Data looks for it every 20 s.
                compute=ActorPoolStrategy(
                    min_size=size,
                    max_size=max(size, min(each.most, len(units))),
                    max_tasks_in_flight_per_actor=queue_depth(len(units), size),
                ),
                num_cpus=needs.cpus,
                num_gpus=needs.gpus or None,
                memory=needs.memory_bytes,
                **_placing(each),
            )
        # A report is small: the threads and the re-slicing of `iter_batches` would take longer than the report.
        for bundle in rows.iter_internal_ref_bundles():
            for table in ray.get(bundle.block_refs):
                for document in table["report"].to_pylist():
                    yield UnitReport.model_validate_json(document)

    def _start(self) -> None:
        if self._started or ray.is_initialized():
            return
        with _own_sigterm():
            join_or_start_ray(self._address, metrics_port=self._metrics_port)
        self._started = True

    def partitions(self, count: int, workspace: Store) -> Partitions:
        """Works on hash partitions of a frame in tasks on the cluster."""
        self._start()
        return RayPartitions(count, workspace, lender=self._lend())

    def _lend(self) -> Lender | None:
        if self._lender is None and self._secrets:
            self._lender = lend(self._secrets)
        return self._lender

    def close(self) -> None:
        """Stops Ray, if this runner has started it."""
        if self._started:
            ray.shutdown()
            self._started = False
            self._lender = None


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keeps what this process does at SIGTERM: Ray would have it exit at once, with code 15 and nothing noted."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _cause(error: RayError) -> str:
    """The last line of what Ray says: before it come tracebacks of its own."""
    own = f"{CurationError.__module__}.{CurationError.__name__}: "
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return mask(lines[-1].removeprefix(own) if lines else repr(error))


def _placing(crew: _Crew) -> dict[str, Any]:
    """How Ray is told which nodes an operator's workers may take."""
    placement = crew.operator.resources.placement
    if placement is not None:
        return {"resources": {placement: SHARE}}
    if crew.placed.avoids:
        return {"label_selector": {"ray.io/node-id": f"!in({','.join(crew.placed.avoids)})"}}
    return {}


def _quiet() -> None:
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.verbose_progress = False
    context.print_on_execution_start = False
    # Each worker would look up its memory every second.
    context.memory_usage_poll_interval_s = None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
