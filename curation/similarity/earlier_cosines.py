"""For each vector of a list, the nearest of those before it: cosines in tiles, never a matrix of all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.similarity.whole_vectors import Whole, inverse_norms

Cosines = npt.NDArray[np.float32]
Places = npt.NDArray[np.int32]


def nearest_earlier(stored: Whole, places: Places, tile_rows: int) -> tuple[Cosines, Places]:
    """The largest cosine of each vector to one before it, and the first that has it.

    The result does not depend on the size of the tiles, which bounds the memory.

    Args:
        stored: (m, d) int16, in whole numbers; may lie on disk.
        places: (n,) int32, the vectors meant, in their order.
        tile_rows: Vectors are compared so many by so many.

    Returns:
        (n,) float32, NaN for the first; (n,) int32, the position in `places`, -1 for the first.
    """
    largest = np.full(len(places), -np.inf, np.float32)
    nearest = np.full(len(places), -1, np.int32)
    starts = range(0, len(places), tile_rows)
    for start in starts:
        late, late_inverse = _tile(stored, places[start : start + tile_rows])
        found, at = largest[start : start + tile_rows], nearest[start : start + tile_rows]
        for first in range(0, start + 1, tile_rows):
            own = first == start
            early, early_inverse = (late, late_inverse) if own else _tile(stored, places[first : first + tile_rows])
            cosines = late @ early.T
            cosines *= early_inverse
            if own:
                np.copyto(cosines, -np.inf, where=np.tri(len(cosines), dtype=bool).T)
            closest = cosines.argmax(axis=1)
            value = cosines[np.arange(len(late)), closest] * late_inverse
            nearer = value > found
            found[nearer] = value[nearer]
            at[nearer] = closest[nearer] + first
    largest[nearest < 0] = np.nan
    return largest, nearest


def _tile(stored: Whole, places: Places) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    vectors = np.asarray(stored[places]).astype(np.float32)
    return vectors, inverse_norms(vectors)
