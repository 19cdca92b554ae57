"""Near pairs of pictures by several hashes of each: the whole picture and variants of it.

A crop shifts everything, and soon moves a hash of the whole picture beyond the distance at which two pictures count as
near. The hash of the picture's inner part lies between the two. In the same way the hash of the mirrored picture finds
mirrored copies. A variant is compared with whole pictures alone: two variants that are alike say no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.similarity.hashes import Hashes
from curation.similarity.near_pairs import NearPairs, near_pairs


@dataclass(frozen=True, slots=True)
class Variant:
    """Hashes of one variant of some pictures.

    Attributes:
        owners: (m,) int32, the picture that each hash is of.
        hashes: (m, 8) uint32.
    """

    owners: npt.NDArray[np.int32]
    hashes: Hashes


def near_pairs_of_variants(hashes: Hashes, variants: Sequence[Variant], max_distance: int) -> NearPairs:
    """Every pair of pictures of which one, whole, is near the other, whole or as one of its variants.

    Variants are looked up by the whole pictures and not by each other, so that the work grows with their number, not
    with its square.

    Args:
        hashes: (n, 8) uint32, of the whole pictures.
        variants: Further hashes of them.
        max_distance: 0 to 47 bits.

    Returns:
        Each pair once, with the smallest of its distances, in ascending order of left, then right.
    """
    # Pairs among the first hashes are left out: these are the variants.
    alone = np.arange(len(hashes), dtype=np.int32)
    owners = np.concatenate([*(variant.owners for variant in variants), alone])
    every = np.concatenate([*(variant.hashes for variant in variants), hashes])
    pairs = near_pairs(every, max_distance, known=len(every) - len(hashes))
    first, second = owners[pairs.left], owners[pairs.right]
    told = first != second
    return nearest_of_each(first[told], second[told], pairs.distance[told])


def nearest_of_each(
    first: npt.NDArray[np.int32], second: npt.NDArray[np.int32], distance: npt.NDArray[np.int16]
) -> NearPairs:
    """Each pair of two pictures once, with the smallest of its distances, in ascending order of left, then right.

    Args:
        first: (m,) int32, one of two different pictures.
        second: (m,) int32, the other.
        distance: (m,) int16, one of the distances between the two.
    """
    left, right = np.minimum(first, second), np.maximum(first, second)
    order = np.lexsort((distance, right, left))
    left, right, distance = left[order], right[order], distance[order]
    nearest = np.ones(len(order), bool)
    nearest[1:] = (left[1:] != left[:-1]) | (right[1:] != right[:-1])
    return NearPairs(left[nearest], right[nearest], distance[nearest])
