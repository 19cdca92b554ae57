"""For each vector, the nearest of some others: cosines in tiles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.similarity.whole_vectors import Whole, inverse_norms

_TILE = 4096


def nearest_vectors(vectors: Whole, others: Whole) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """The largest cosine of each vector to one of the others, and the first that has it.

    Args:
        vectors: (n, d) int16, in whole numbers.
        others: (m, d) int16.

    Returns:
        (n,) float32, -inf where there are no others; (n,) int32, its place, -1 where there are none.
    """
    largest = np.full(len(vectors), -np.inf, np.float32)
    nearest = np.full(len(vectors), -1, np.int32)
    exact = vectors.astype(np.float32)
    inverse = inverse_norms(exact)
    for start in range(0, len(others), _TILE):
        tile = others[start : start + _TILE].astype(np.float32)
        cosines = exact @ tile.T
        cosines *= inverse_norms(tile)
        closest = cosines.argmax(axis=1)
        value = cosines[np.arange(len(exact)), closest] * inverse
        nearer = value > largest
        largest[nearer] = value[nearer]
        nearest[nearer] = closest[nearer] + start
    return largest, nearest
