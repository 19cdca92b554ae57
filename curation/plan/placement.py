"""Which nodes the workers of a phase belong on: nodes are told apart by custom resources that they carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curation.contracts.resources import Resources
from curation.errors import PlanError
from curation.plan.sizing import ClusterResources, size_pools

SHARE = 0.001
"""What a worker takes of the custom resource that places it: a node that carries one of it has room for 1,000."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster: what it has in all, whoever holds it.

    Attributes:
        carries: Its custom resources.
        store_bytes: What its part of Ray's object store holds.
    """

    node_id: str
    resources: ClusterResources
    carries: frozenset[str] = frozenset()
    store_bytes: float = 0.0


def place_pools(
    needs: Sequence[tuple[str, Resources]],
    nodes: Sequence[Node],
    units: int,
    max_workers: int | None = None,
    unit_seconds: Sequence[float | None] | None = None,
) -> list[int]:
    """How many workers each operator has, in their order.

    Nodes that carry a resource by which an operator of the phase is placed are for the operators placed there alone;
    the other operators share the other nodes. Were they let onto these nodes, they could take the processors that were
    counted for the placed ones, which would wait for ever.

    Args:
        unit_seconds: How long a worker of each operator takes for a unit, as for `size_pools`.

    Raises:
        PlanError: One worker of each does not fit onto the nodes meant for it, with the sum.
    """
    used = _used(needs)
    _check(needs, used, nodes)
    workers = [0] * len(needs)
    for placement in (*sorted(used), None):
        there = [index for index, (_, need) in enumerate(needs) if need.placement == placement]
        if not there:
            continue
        have = meant_for(needs, there[0], nodes)
        try:
            costs = [unit_seconds[index] for index in there] if unit_seconds else None
            sizes = size_pools(
                [needs[index] for index in there],
                sum_of(have),
                units,
                max_workers,
                costs,
                [node.resources for node in have],
            )
        except PlanError as error:
            if not used:
                raise
            raise PlanError(f"{_told(placement, used, len(have))}: {error}") from error
        for index, size in zip(there, sizes, strict=True):
            workers[index] = size
    return workers


def meant_for(needs: Sequence[tuple[str, Resources]], index: int, nodes: Sequence[Node]) -> list[Node]:
    """Those of the nodes that workers of one operator of a phase may take."""
    placement, used = needs[index][1].placement, _used(needs)
    return [node for node in nodes if (placement in node.carries if placement else not node.carries & used)]


def avoided(needs: Sequence[tuple[str, Resources]], index: int, nodes: Sequence[Node]) -> tuple[str, ...]:
    """Ids of the nodes that workers of one operator of a phase must not take: these are meant for other operators."""
    if needs[index][1].placement is not None:
        return ()
    used = _used(needs)
    return tuple(node.node_id for node in nodes if node.carries & used)


def _used(needs: Sequence[tuple[str, Resources]]) -> set[str]:
    return {need.placement for _, need in needs if need.placement is not None}


def _check(needs: Sequence[tuple[str, Resources]], used: set[str], nodes: Sequence[Node]) -> None:
    """Raises PlanError where no node carries what is asked for, or where a node is meant for two kinds of work."""
    carried = sorted({name for node in nodes for name in node.carries})
    for name, need in needs:
        if need.placement is not None and need.placement not in carried:
            have = f"its nodes carry {', '.join(carried)}" if carried else "its nodes carry no custom resources"
            raise PlanError(
                f"{name} is placed on nodes with the resource {need.placement}, but the cluster has no such node "
                f"({have}); start nodes with it, or change run.placement"
            )
    for node in nodes:
        if len(node.carries & used) > 1:
            both = " and ".join(sorted(node.carries & used))
            raise PlanError(
                f"a node carries {both}, by which steps of one phase are told apart; give each node one of them, or "
                "place these steps alike"
            )


def sum_of(nodes: Sequence[Node]) -> ClusterResources:
    """What the nodes have together."""
    return ClusterResources(
        cpus=sum(node.resources.cpus for node in nodes),
        gpus=sum(node.resources.gpus for node in nodes),
        memory_bytes=sum(node.resources.memory_bytes for node in nodes),
    )


def _told(placement: str | None, used: set[str], count: int) -> str:
    which = f"with {placement}" if placement else f"without {', '.join(sorted(used))}"
    return f"on the {count} {'node' if count == 1 else 'nodes'} {which}"
