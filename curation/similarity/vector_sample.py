"""A sample of vectors that pass by: those of the first places. A large one lies on scratch disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from curation.similarity.whole_vectors import BATCH_ROWS, Whole

HELD_BYTES = 2**30
"""Vectors are held in memory if they take no more."""
Places = npt.NDArray[np.int32]


def first_vectors(batches: Iterable[tuple[Places, Whole]], wanted: int, held_bytes: int = HELD_BYTES) -> Whole | None:
    """The `wanted` vectors of the smallest places, in the order of their places; None where none passes by.

    Args:
        batches: (n,) int32, a place for each vector, none twice; (n, d) int16, the vectors.
        wanted: At most so many; there may be fewer. Room for all of them, and a quarter more, is taken at once.
        held_bytes: If these take more, they lie in a file without a name in the folder that `TMPDIR` names, and so does
            what is returned: read it some rows at a time.

    Raises:
        OSError: There is not enough room on that disk.
    """
    held: _Held | None = None
    for places, vectors in batches:
        if held is None:
            held = _Held(wanted, vectors.shape[1], held_bytes)
        held.add(places, vectors)
    return held.smallest() if held is not None and held.count else None


class _Held:
    def __init__(self, wanted: int, dimensions: int, held_bytes: int) -> None:
        self._wanted = wanted
        self._held_bytes = held_bytes
        room = wanted + max(wanted // 4, BATCH_ROWS)
        self._places = np.empty(room, np.int32)
        self._vectors = _room_for(room, dimensions, held_bytes)
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
        order = np.argsort(self._places[: self.count])
        ordered = _room_for(self.count, self._vectors.shape[1], self._held_bytes)
        for some in _blocks(self.count):
            ordered[some] = self._vectors[order[some]]
        return ordered

    def _drop(self) -> None:
        """Lets go of all but the smallest."""
        if self.count > self._wanted:
            chosen = np.sort(np.argpartition(self._places[: self.count], self._wanted)[: self._wanted])
            self._places[: self._wanted] = self._places[chosen]
            # Each goes to where it is or farther to the front, so none is written over before it was moved.
            for some in _blocks(self._wanted):
                self._vectors[some] = self._vectors[chosen[some]]
            self.count = self._wanted
            self._bound = int(self._places[: self.count].max())


def _blocks(count: int) -> Iterator[slice]:
    yield from (slice(start, min(start + BATCH_ROWS, count)) for start in range(0, count, BATCH_ROWS))


def _room_for(count: int, dimensions: int, held_bytes: int) -> Whole:
    """(count, dimensions) int16, of any values."""
    size = count * dimensions * np.dtype(np.int16).itemsize
    if size <= held_bytes:
        return np.empty((count, dimensions), np.int16)
    with tempfile.TemporaryFile(prefix="sample-") as file:
        # A disk that is full is an error here; later on it would kill the process.
        os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, np.int16, "r+", shape=(count, dimensions))
