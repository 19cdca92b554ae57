"""Whether workers find room on nodes: a worker lies on one node whole, and Ray chooses which."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import floor, gcd, inf

from curation.contracts.resources import Resources
from curation.errors import PlanError

Amounts = tuple[float, float, float]
"""CPUs, GPUs and bytes of memory."""
_SHARES = 1000
"""Ray counts processors in shares no finer than this."""
_ROUNDING = 1e-9


def amounts_of(need: Resources) -> Amounts:
    """What a worker needs."""
    return need.cpus, need.gpus, float(need.memory_bytes or 0)


def told(cpus: float, gpus: float, memory_bytes: float) -> str:
    """Amounts in words."""
    if not memory_bytes:
        return f"{cpus:g} CPUs and {gpus:g} GPUs"
    return f"{cpus:g} CPUs, {gpus:g} GPUs and {memory_bytes / 1e9:.1f} GB of memory"


class NodeRoom:
    """The nodes that the operators of a phase share.

    Args:
        nodes: What each has in all.
    """

    def __init__(self, needs: Sequence[tuple[str, Resources]], nodes: Sequence[Amounts]) -> None:
        self._names = [name for name, _ in needs]
        self._needs = [amounts_of(need) for _, need in needs]
        self._nodes = nodes
        self._blocking = [self._least_that_blocks(index) for index in range(len(needs))]

    def check(self) -> None:
        """Refuses a phase of which one worker of each operator finds no room.

        Raises:
            PlanError: With what is needed.
        """
        for name, need in zip(self._names, self._needs, strict=True):
            if not any(_holds(node, need) for node in self._nodes):
                raise PlanError(
                    f"no node has room for one worker of {name}, which needs {told(*need)}; take larger nodes, or "
                    "state less under the steps' `cpus` and `gpus`"
                )
        if not _fit_together(sorted(self._needs, reverse=True), list(self._nodes)):
            listed = ", ".join(f"{name}: {told(*need)}" for name, need in zip(self._names, self._needs, strict=True))
            raise PlanError(
                f"one worker of each step ({listed}) must find room on one node each, and the nodes cannot be shared "
                "out so; take larger nodes, or state less under the steps' `cpus` and `gpus`"
            )

    def most(self, index: int) -> float:
        """How many workers of an operator the nodes hold if it has them to itself."""
        return sum(_times(node, self._needs[index]) for node in self._nodes)

    def may_grow(self, index: int, sizes: Sequence[int]) -> bool:
        """Whether every other operator finds room for a worker, wherever Ray puts one more of this one and all else.

        Else the others could wait for ever: no worker that has a place gives it up before the phase ends.
        """
        cpus = [size * need[0] for size, need in zip(sizes, self._needs, strict=True)]
        total = sum(cpus) + self._needs[index][0]
        return all(
            total - cpus[other] < self._blocking[other] - _ROUNDING
            for other in range(len(sizes))
            if other != index and self._needs[other][0] > 0
        )

    def _least_that_blocks(self, index: int) -> float:
        """So many CPUs must the other operators take, at least, to leave none of this one a place.

        What has no GPU lies on nodes that have one only when the others are full: that is how Ray chooses.
        """
        need = self._needs[index]
        others = [other[0] for place, other in enumerate(self._needs) if place != index and other[0] > 0]
        if not others:
            return inf
        grain = reduce(gcd, (round(cpus * _SHARES) for cpus in others)) / _SHARES
        blocking = 0.0
        for node in self._nodes:
            if _holds(node, need):
                blocking += grain * (floor((node[0] - need[0]) / grain + _ROUNDING) + 1)
            elif not node[1]:
                blocking += max(others) * floor(node[0] / max(others) + _ROUNDING)
        return blocking


def _holds(node: Amounts, need: Amounts) -> bool:
    return all(wanted <= have + _ROUNDING for wanted, have in zip(need, node, strict=True))


def _times(node: Amounts, need: Amounts) -> float:
    counts = [have / wanted for wanted, have in zip(need, node, strict=True) if wanted]
    return min((inf if count == inf else floor(count + _ROUNDING) for count in counts), default=inf)


def _fit_together(needs: Sequence[Amounts], nodes: list[Amounts]) -> bool:
    """Whether there is a way to put one worker of each onto the nodes."""
    if not needs:
        return True
    tried = set()
    for place, node in enumerate(nodes):
        if node in tried or not _holds(node, needs[0]):
            continue
        tried.add(node)
        left = (node[0] - needs[0][0], node[1] - needs[0][1], node[2] - needs[0][2])
        if _fit_together(needs[1:], [*nodes[:place], left, *nodes[place + 1 :]]):
            return True
    return False
