"""How many workers each operator of a phase gets: fixed before the start, or refused with the sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from curation.contracts.resources import Resources
from curation.errors import PlanError
from curation.plan.node_room import NodeRoom, amounts_of, told


@dataclass(frozen=True, slots=True)
class ClusterResources:
    """What a cluster has in all."""

    cpus: float
    gpus: float
    memory_bytes: float = inf


def size_pools(
    needs: Sequence[tuple[str, Resources]],
    cluster: ClusterResources,
    units: int,
    max_workers: int | None = None,
    unit_seconds: Sequence[float | None] | None = None,
    nodes: Sequence[ClusterResources] = (),
) -> list[int]:
    """Workers for each operator, in their order.

    Every operator gets one; what is left goes, one worker at a time, to the operator that sets the pace: the one whose
    workers together take longest for a unit. No operator gets more workers than there are units.

    Args:
        unit_seconds: How long a worker of each operator takes for a unit, None where that is not known; then it is
            taken for the mean of the others.
        nodes: Those of the cluster; without them it is one node.

    Raises:
        PlanError: One worker of each does not fit, with the sum.
    """
    free = _free(needs, cluster)
    room = NodeRoom(needs, [(node.cpus, node.gpus, node.memory_bytes) for node in nodes or [cluster]])
    room.check()
    limits = [min(max(1, min(units, max_workers or units)), room.most(index)) for index in range(len(needs))]
    costs = _costs(unit_seconds or [None] * len(needs))
    sizes = [1] * len(needs)
    while True:
        growable = [
            index
            for index, (_, need) in enumerate(needs)
            if sizes[index] < limits[index]
            and (need.cpus > 0 or need.gpus > 0)
            and _fits(need, free)
            and room.may_grow(index, sizes)
        ]
        if not growable:
            return sizes
        chosen = max(growable, key=lambda index: (costs[index] / sizes[index], -index))
        sizes[chosen] += 1
        free = [have - wanted for have, wanted in zip(free, amounts_of(needs[chosen][1]), strict=True)]


def _costs(unit_seconds: Sequence[float | None]) -> list[float]:
    """The costs with a guess where there is none. No cost is nought, for then nothing would set the pace."""
    known = [seconds for seconds in unit_seconds if seconds is not None]
    guess = sum(known) / len(known) if known else 1.0
    return [max(guess if seconds is None else seconds, 1e-6) for seconds in unit_seconds]


def _fits(need: Resources, free: Sequence[float]) -> bool:
    return all(wanted <= have + 1e-9 for wanted, have in zip(amounts_of(need), free, strict=True))


def _free(needs: Sequence[tuple[str, Resources]], cluster: ClusterResources) -> list[float]:
    """What is left of CPUs, GPUs and memory when every operator has one worker. Raises PlanError."""
    cpus, gpus, memory = (sum(amounts) for amounts in zip(*(amounts_of(need) for _, need in needs), strict=True))
    free = [cluster.cpus - cpus, cluster.gpus - gpus, cluster.memory_bytes - memory]
    if min(free) >= -1e-9:
        return free
    listed = ", ".join(f"{name}: {told(*amounts_of(need))}" for name, need in needs)
    raise PlanError(
        f"one worker of each step needs {told(cpus, gpus, memory)} at once ({listed}), but the cluster has "
        f"{told(cluster.cpus, cluster.gpus, cluster.memory_bytes if memory else 0)}; add nodes, or state less under "
        "the steps' `cpus` and `gpus`"
    )
