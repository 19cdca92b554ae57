"""The pools of workers of each phase, worked out before the start: how many, what sets the pace, how long it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curation.contracts.resources import Resources
from curation.errors import PlanError
from curation.plan.costs import MeasuredCosts, StepCost
from curation.plan.groups import NOWHERE, group_name, group_resources, worker_groups
from curation.plan.phases import Decision, Phase, Plan
from curation.plan.placement import Node, place_pools, sum_of
from curation.plan.queue_depth import most_between, queue_depth
from curation.plan.sizing import ClusterResources
from schemas.columns import COLUMNS, Role

UNITS_PER_WORKER = 2
"""A worker has its next part at hand while it is busy with one."""
_IMAGE_BYTES = 100_000
_TEXT_BYTES = 100
"""Taken for a row's image, or any other value of varying length, where nothing was measured."""


def unit_seconds(steps: Sequence[str], costs: Mapping[str, StepCost], unit_rows: int) -> float | None:
    """How long a worker takes for a unit; None where a step's cost is not known."""
    if not steps or not all(step in costs for step in steps):
        return None
    return sum(costs[step].row_seconds for step in steps) * unit_rows


@dataclass(frozen=True)
class Pool:
    """The workers of one operator of a phase.

    Attributes:
        unit_seconds: How long one of them takes for a part, None where that is not known.
        measured: Whether that is from parts that were done.
    """

    name: str
    workers: int
    resources: Resources
    unit_seconds: float | None
    measured: bool

    def rows_per_s(self, unit_rows: int) -> float | None:
        """What all of them do together."""
        return self.workers * unit_rows / self.unit_seconds if self.unit_seconds else None


@dataclass(frozen=True)
class PhasePools:
    """One phase.

    Attributes:
        parts_in_flight: Parts that are begun at the same time, and repeated if everything dies.
        part_bytes: What a part weighs between two pools.
        in_flight_bytes: What the parts between pools weigh together in Ray's object store, at most; where they would
            fill half of it, fewer wait.
        bottleneck: The pool that sets the pace, None where a cost is not known.
        hours: For all rows, None where that is not known.
        misfit: Why the phase does not fit the cluster.
    """

    name: str
    pools: tuple[Pool, ...] = ()
    parts_in_flight: int = 0
    part_bytes: int = 0
    in_flight_bytes: int = 0
    bottleneck: str | None = None
    rows_per_s: float | None = None
    hours: float | None = None
    misfit: str | None = None


@dataclass(frozen=True)
class ResourcePlan:
    """What a plan needs of a cluster.

    Attributes:
        rows: Of the source, None where they have not been counted.
        decision_bytes: What the driver holds of the columns of the largest decision, a guess.
    """

    cluster: ClusterResources
    rows: int | None
    phases: tuple[PhasePools, ...]
    decision_bytes: int | None

    def check(self, begun: frozenset[str] = frozenset()) -> None:
        """Refuses what does not fit, before anything is done.

        Args:
            begun: Phases of which parts are done: whether they need workers is found out when it is their turn.

        Raises:
            PlanError: With the sum of each phase that does not fit.
        """
        misfits = [f"phase {phase.name}: {phase.misfit}" for phase in self.phases if phase.misfit]
        if misfits and not all(phase.name in begun for phase in self.phases if phase.misfit):
            raise PlanError("\n".join(misfits))


def plan_resources(
    plan: Plan,
    nodes: Sequence[Node],
    costs: MeasuredCosts,
    *,
    part_rows: int,
    rows: int | None = None,
    max_workers: int | None = None,
    placement: Mapping[str, str] = NOWHERE,
) -> ResourcePlan:
    """The pools of every phase on a cluster, what sets the pace in each, and how long it takes.

    Args:
        placement: By the name of a step, the custom resource of the nodes it belongs on.
    """
    asked = _Asked(nodes, costs, part_rows, rows, max_workers, placement)
    return ResourcePlan(
        sum_of(nodes), rows, tuple(_phase_pools(phase, asked) for phase in plan.phases), _decision_bytes(plan, rows)
    )


@dataclass(frozen=True)
class _Asked:
    nodes: Sequence[Node]
    costs: MeasuredCosts
    part_rows: int
    rows: int | None
    max_workers: int | None
    placement: Mapping[str, str]


def _phase_pools(phase: Phase, asked: _Asked) -> PhasePools:
    groups = worker_groups(phase.stages, asked.placement)
    names = [group_name(group, phase.name) for group in groups]
    needs = [(name, group_resources(group, asked.placement)) for name, group in zip(names, groups, strict=True)]
    known = [asked.costs.of(group) for group in groups]
    part_rows, rows = asked.part_rows, asked.rows
    spent = [
        unit_seconds([stage.config.step_name for stage in group], cost, part_rows)
        for group, cost in zip(groups, known, strict=True)
    ]
    units = -(-rows // part_rows) if rows is not None else 1_000_000
    try:
        placed = place_pools(needs, asked.nodes, units, asked.max_workers, spent)
    except PlanError as error:
        return PhasePools(phase.name, misfit=str(error))
    pools = tuple(
        Pool(name, workers, need, seconds, all(cost.origin == "measured" for cost in costs_of.values()))
        for (name, need), workers, seconds, costs_of in zip(needs, placed, spent, known, strict=True)
    )
    paces = [pool.rows_per_s(part_rows) for pool in pools]
    pace = min((each for each in paces if each is not None), default=None) if None not in paces else None
    # What waits before the first pool is a number; before the others it is a part with what was fetched for it.
    between = min(units, sum(most_between(queue_depth(units, pool.workers), pool.workers) for pool in pools[1:]))
    part_bytes = int(asked.costs.row_bytes.get(phase.name) or _row_bytes(phase)) * part_rows
    return PhasePools(
        name=phase.name,
        pools=pools,
        parts_in_flight=min(units, pools[0].workers + between),
        part_bytes=part_bytes,
        in_flight_bytes=part_bytes * between,
        bottleneck=None if pace is None else pools[paces.index(pace)].name,
        rows_per_s=pace,
        hours=rows / pace / 3600 if pace and rows is not None else None,
    )


def _row_bytes(phase: Phase) -> int:
    made = {name for stage in phase.stages for name in (*stage.spec.adds, *stage.spec.requires) if name in COLUMNS}
    binary = any(COLUMNS[name].role in (Role.PAYLOAD, Role.TRANSIENT) for name in made)
    return _IMAGE_BYTES if binary else _TEXT_BYTES


def _decision_bytes(plan: Plan, rows: int | None) -> int | None:
    """Exchanges hold columns of all rows, their vectors apart, which stream past them."""
    if rows is None:
        return None
    decisions = [item for item in plan.items if isinstance(item, Decision)]
    widths = [
        sum(_width(COLUMNS[name].type) if name in COLUMNS else _TEXT_BYTES for name in item.exchange.spec.requires)
        for item in decisions
    ]
    return max(widths, default=0) * rows


def _width(kind: Any) -> int:
    if pa.types.is_primitive(kind):
        return max(1, int(kind.bit_width) // 8)
    return 0 if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) else _TEXT_BYTES
