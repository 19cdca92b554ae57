"""The runner on Ray: a pool of actors for each operator, and units that are led through the pools."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue

import ray
from ray.exceptions import RayError

from curation.contracts.exchange import Partitions
from curation.contracts.resources import Resources
from curation.engine.meters import Meter, NoMeter
from curation.engine.operator import Operator
from curation.errors import CurationError, PlanError
from curation.masking import known_values, mask
from curation.plan.placement import Node, avoided, meant_for, place_pools, sum_of
from curation.plan.pools import UNITS_PER_WORKER, unit_seconds
from curation.plan.queue_depth import queue_depth
from curation.runtime.on_ray.nodes import cluster_nodes
from curation.runtime.on_ray.partitions import RayPartitions
from curation.runtime.on_ray.pipeline import Pipeline
from curation.runtime.on_ray.pool import Answer, Pool, end_pools
from curation.runtime.on_ray.secrets import Lender, lend
from curation.runtime.on_ray.shared import ActorLink, start_shared, stop_shared
from curation.runtime.on_ray.staffing import Staffing
from curation.runtime.on_ray.start import join_or_start_ray
from curation.runtime.on_ray.worker import Equipment
from curation.runtime.on_ray.worker_times import StepTimes
from curation.storage.store import Store
from schemas.records import UnitReport

FIRST_PARTS = 20
"""Where costs are unknown and there are so many units a worker, the first ones are run apart, to size the pools by."""
_STORE_SHARE = 0.5
"""Of Ray's object store, what units between two operators may take up before no further one is begun."""


class RayRunner:
    """Runs pipelines on a Ray cluster: the one at `address` or RAY_ADDRESS, or one of its own on this machine.

    Args:
        max_tries: Tries of a unit before it is reported with its error; a crashed worker counts as a try.
        max_workers: Most workers of one operator.
        secrets: Names of variables of this process's environment that workers on all nodes are to have, too.
        meter: Counts what workers do.
        metrics_port: Where a Ray of its own offers its figures to Prometheus; None: where it likes.
        grace_s: How long after a SIGTERM units on their way may take to be done.
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
        grace_s: float = 0.0,
    ) -> None:
        self._max_tries = max_tries
        self._max_workers = max_workers
        self._address = address
        self._secrets = secrets
        self._meter = meter or NoMeter()
        self._metrics_port = metrics_port
        self._grace_s = grace_s
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
            AccessError: A store does not let a worker in.
            CurationError: Workers cannot be set up, or Ray is at its end.
            KeyboardInterrupt: SIGTERM, when the units on their way are done.
        """
        try:
            self._run(operators, units, on_report)
        except RayError as error:
            raise CurationError(_cause(error)) from error

    def _run(
        self, operators: Sequence[Operator], units: Sequence[int], on_report: Callable[[UnitReport], None]
    ) -> None:
        if not units:
            return
        self._start()
        costs = [unit_seconds(operator.steps, operator.costs, 1) for operator in operators]
        placed = self._placed(operators, len(units), costs)
        first = _first_units(operators, placed, len(units), costs)
        with self._pools(operators, placed, units, resized=bool(first)) as (pools, pipeline):
            if first:
                times = StepTimes(on_report)
                pipeline.run(units[:first], times.hear)
                # Where the first ones tell nothing, since they all failed, what was known before is as good as it gets.
                told = [times.row_seconds(operator.steps) for operator in operators]
                costs = [before if now is None else now for before, now in zip(costs, told, strict=True)]
                self._size(pools, self._placed(operators, len(units) - first, costs), len(units) - first)
            pipeline.run(units[first:], on_report)

    def _placed(self, operators: Sequence[Operator], units: int, costs: Sequence[float | None]) -> list[int]:
        return place_pools(_needs(operators), cluster_nodes(), units, self._max_workers, costs)

    @contextmanager
    def _pools(
        self, operators: Sequence[Operator], placed: Sequence[int], units: Sequence[int], *, resized: bool
    ) -> Iterator[tuple[list[Pool], Pipeline]]:
        """Pools of workers that are about to start, and what leads units through them. They end with the block."""
        answers = SimpleQueue[Answer]()
        pools: list[Pool] = []
        shared: list[dict[str, ActorLink]] = []
        well = False
        try:
            for place, (operator, workers) in enumerate(zip(operators, placed, strict=True)):
                links = start_shared(operator.shared, self._sharing(operator, workers, len(units), resized=resized))
                shared.append(links)
                equipment = Equipment(links, self._meter, self._lend(), known_values())
                depth = queue_depth(len(units), workers)
                avoids = partial(_avoided, operators, place)
                pools.append(Pool(operator, equipment, depth, self._max_tries, avoids, answers))
            self._size(pools, placed, len(units))
            staffing = Staffing(pools, self._max_tries, partial(self._fits, operators, len(units)))
            pipeline = Pipeline(
                pools,
                staffing,
                answers,
                self._max_tries,
                _room_bytes(operators),
                grace_s=self._grace_s,
                meter=self._meter,
            )
            yield pools, pipeline
            well = True
        finally:
            end_pools(pools, patiently=well)
            for links in shared:
                stop_shared(links)

    def _size(self, pools: Sequence[Pool], placed: Sequence[int], units: int) -> None:
        for pool, workers in zip(pools, placed, strict=True):
            pool.planned = pool.aim = workers
            pool.most = self._most(workers, units)

    def _sharing(self, operator: Operator, workers: int, units: int, *, resized: bool) -> int:
        """For how many workers there is to be what they share: that stays as it is, however many there will be."""
        most = self._most(workers, units)
        if resized:
            most = max(most, min(units, self._max_workers or units))
            room = int(sum_of(cluster_nodes()).cpus / operator.resources.cpus) if operator.resources.cpus else most
            return max(workers, min(most, room))
        # Twice what the workers need, where there may be more of them.
        return min(most, 2 * workers)

    def _most(self, planned: int, units: int) -> int:
        """A Ray of its own is this machine and stays so; a cluster that was joined may get more nodes."""
        return planned if self._is_own else max(planned, min(units, self._max_workers or units))

    def _fits(self, operators: Sequence[Operator], units: int) -> bool:
        try:
            self._placed(operators, units, [None] * len(operators))
        except PlanError:
            return False
        return True

    @property
    def _is_own(self) -> bool:
        return self._started and self._address is None and not os.environ.get("RAY_ADDRESS")

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


def _first_units(
    operators: Sequence[Operator], placed: Sequence[int], units: int, costs: Sequence[float | None]
) -> int:
    """How many units to run for the sake of the sizes; none where nothing hangs on it, or all is measured."""
    known = [cost.origin == "measured" for operator in operators for cost in operator.costs.values()]
    if len(operators) == 1 or (all(known) and None not in costs):
        return 0
    workers = sum(placed)
    return UNITS_PER_WORKER * workers if units >= FIRST_PARTS * workers else 0


def _needs(operators: Sequence[Operator]) -> list[tuple[str, Resources]]:
    return [(operator.name, operator.resources) for operator in operators]


def _room_bytes(operators: Sequence[Operator]) -> float:
    """What payloads may take up: they lie on the nodes of those that hand them over, of which the fewest count."""
    needs, nodes = _needs(operators), cluster_nodes()
    rooms = [sum(node.store_bytes for node in meant_for(needs, place, nodes)) for place in range(len(needs) - 1)]
    return _STORE_SHARE * min(rooms, default=math.inf)


def _avoided(operators: Sequence[Operator], place: int) -> tuple[str, ...]:
    """Ids of the nodes, of those that there are now, that an operator's workers must not take."""
    if all(operator.resources.placement is None for operator in operators):
        return ()
    return avoided(_needs(operators), place, cluster_nodes())


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
