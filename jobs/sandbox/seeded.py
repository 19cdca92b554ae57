"""Random draws that depend on nothing but their seeds."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")

_BLOCK = 64


class Draws:
    """A stream of random choices derived from uniform doubles of PCG64.

    Only uniform doubles are taken from numpy: their stream is fixed for a seed, whereas the
    streams of `choice` or `integers` may change between numpy's releases.
    """

    def __init__(self, *seeds: int) -> None:
        """Seeds the stream with non-negative integers; their order matters."""
        self._generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seeds)))
        self._block: list[float] = []

    def uniform(self) -> float:
        """Returns a number in [0, 1)."""
        if not self._block:
            self._block = self._generator.random(_BLOCK).tolist()[::-1]
        return self._block.pop()

    def between(self, low: float, high: float) -> float:
        """Returns a number in [low, high)."""
        return low + (high - low) * self.uniform()

    def below(self, count: int) -> int:
        """Returns an integer in [0, count)."""
        return min(int(self.uniform() * count), count - 1)

    def chance(self, probability: float) -> bool:
        """Returns True with the given probability."""
        return self.uniform() < probability

    def pick(self, items: Sequence[Item]) -> Item:
        """Returns one of the items, each equally likely."""
        return items[self.below(len(items))]

    def weighted(self, items: Sequence[tuple[Item, float]]) -> Item:
        """Returns one of the items by their weights, which need not add up to 1."""
        left = self.uniform() * sum(weight for _, weight in items)
        for item, weight in items:
            left -= weight
            if left < 0:
                return item
        return items[-1][0]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """Returns the items in a random order."""
        order = list(items)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order
