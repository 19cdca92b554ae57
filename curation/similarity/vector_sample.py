"""A sample of vectors that pass by: those of the first places, held in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from curation.similarity.whole_vectors import BATCH_ROWS, Whole

Places = npt.NDArray[np.int32]


def first_vectors(batches: Iterable[tuple[Places, Whole]], wanted: int) -> Whole | None:
    """The `wanted` vectors of the smallest places, in the order of their places; None where none passes by.

    Args:
        batches: (n,) int32, a place for each vector, none twice; (n, d) int16, the vectors.
        wanted: At most so many; there may be fewer.
    """
    held: _Held | None = None
    for places, vectors in batches:
        if held is None:
            held = _Held(wanted, vectors.shape[1])
        held.add(places, vectors)
    return held.smallest() if held is not None and held.count else None


class _Held:
    def __init__(self, wanted: int, dimensions: int) -> None:
        self._wanted = wanted
        room = wanted + max(wanted // 4, BATCH_ROWS)
        self._places = np.empty(room, np.int32)
        self._vectors = np.empty((room, dimensions), np.int16)
        self._bound = np.iinfo(np.int32).max
        self.count = 0

    def add(self, places: Places, vectors: Whole) -> None:
        mine = np.flatnonzero(places < self._bound)
        while len(mine):
            fitting, mine = np.split(mine, [len(self._places) - self.count])
            stop = self.count + len(fitting)
            self._places[self.count : stop] = places[fitting]
            self._vectors[self.count : stop] = vectors[fitting]
            self.count = stop
            if stop == len(self._places):
                self._drop()

    def smallest(self) -> Whole:
        self._drop()
        return self._vectors[np.argsort(self._places[: self.count])]

    def _drop(self) -> None:
        """Lets go of all but the smallest."""
        if self.count > self._wanted:
            chosen = np.sort(np.argpartition(self._places[: self.count], self._wanted)[: self._wanted])
            self._places[: self._wanted] = self._places[chosen]
            self._vectors[: self._wanted] = self._vectors[chosen]
            self.count = self._wanted
            self._bound = int(self._places[: self.count].max())
