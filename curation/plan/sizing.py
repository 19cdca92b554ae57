"""How many workers each operator of a phase gets: fixed before the start, or refused with the sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curation.contracts.resources import Resources
from curation.errors import PlanError


@dataclass(frozen=True, slots=True)
class ClusterResources:
    """What a cluster has in all."""

    cpus: float
    gpus: float


def size_pools(
    needs: Sequence[tuple[str, Resources]], cluster: ClusterResources, units: int, max_workers: int | None = None
) -> list[int]:
    """Workers for each operator, in their order.

    Every operator gets one; what is left goes, one worker at a time, to the operator that has the fewest, since the
    slowest operator sets the pace and none is known to be slower before it has run. No operator gets more workers than
    there are units.

    Raises:
        PlanError: One worker of each does not fit, with the sum.
    """
    _check_fit(needs, cluster)
    limit = max(1, min(units, max_workers or units))
    sizes = [1] * len(needs)
    cpus = cluster.cpus - sum(need.cpus for _, need in needs)
    gpus = cluster.gpus - sum(need.gpus for _, need in needs)
    while True:
        growable = [
            index
            for index, (_, need) in enumerate(needs)
            if sizes[index] < limit and need.cpus <= cpus + 1e-9 and need.gpus <= gpus + 1e-9
            if need.cpus > 0 or need.gpus > 0
        ]
        if not growable:
            return sizes
        chosen = min(growable, key=lambda index: (sizes[index], index))
        sizes[chosen] += 1
        cpus -= needs[chosen][1].cpus
        gpus -= needs[chosen][1].gpus


def _check_fit(needs: Sequence[tuple[str, Resources]], cluster: ClusterResources) -> None:
    cpus = sum(need.cpus for _, need in needs)
    gpus = sum(need.gpus for _, need in needs)
    if cpus <= cluster.cpus + 1e-9 and gpus <= cluster.gpus + 1e-9:
        return
    listed = ", ".join(f"{name}: {need.cpus:g} CPUs and {need.gpus:g} GPUs" for name, need in needs)
    raise PlanError(
        f"one worker of each step needs {cpus:g} CPUs and {gpus:g} GPUs at once ({listed}), but the cluster has "
        f"{cluster.cpus:g} CPUs and {cluster.gpus:g} GPUs; add nodes, or state less under the steps' `cpus` and `gpus`"
    )
