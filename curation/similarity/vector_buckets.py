"""Vectors on scratch disk, brought together by cluster: what is held in memory does not grow with their number."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import numpy.typing as npt

from curation.similarity.whole_vectors import Whole

_BUCKET_BYTES = 256 * 2**20
_MAX_BUCKETS = 256

Places = npt.NDArray[np.int32]


class VectorBuckets:
    """Takes vectors in any order and gives them back cluster by cluster. A context: leaving it deletes the scratch.

    Args:
        expected: About how many vectors will come.
        dimensions: Of each.
    """

    def __init__(self, expected: int, dimensions: int) -> None:
        self._dimensions = dimensions
        wanted = -(-expected * dimensions * np.dtype(np.int16).itemsize // _BUCKET_BYTES)
        self._count = min(max(wanted, 1), _MAX_BUCKETS)
        self._stack = ExitStack()
        self._files: list[IO[bytes]] = []
        self._held: list[list[tuple[Places, Places]]] = [[] for _ in range(self._count)]

    def __enter__(self) -> VectorBuckets:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="vectors-")))
        paths = [folder / f"{bucket:03d}" for bucket in range(self._count)]
        self._files = [self._stack.enter_context(path.open("wb")) for path in paths]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, clusters: Places, items: Places, vectors: Whole) -> None:
        """Puts vectors away.

        Args:
            clusters: (n,) int32.
            items: (n,) int32, by what they will be known.
            vectors: (n, d) int16.
        """
        buckets = clusters % self._count
        for bucket in np.unique(buckets):
            mine = buckets == bucket
            self._held[bucket].append((clusters[mine], items[mine]))
            self._files[bucket].write(vectors[mine].tobytes())

    def clusters(self, worth: npt.NDArray[np.int32]) -> Iterator[tuple[Places, Whole, Places]]:
        """Yields each cluster once: its items, the vectors of a whole bucket on disk, and where those of the items lie.

        Args:
            worth: (items,) int32: a cluster's items come in ascending order of it.
        """
        for file, held in zip(self._files, self._held, strict=True):
            if not held:
                continue
            file.flush()
            clusters, items = (np.concatenate(parts) for parts in zip(*held, strict=True))
            stored = np.memmap(file.name, np.int16, "r", shape=(len(items), self._dimensions))
            order = np.lexsort((worth[items], clusters))
            for places in np.split(order, np.flatnonzero(np.diff(clusters[order])) + 1):
                yield items[places], stored, places.astype(np.int32)
