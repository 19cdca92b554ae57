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

    The cost grows with the square of the number of all hashes: with a variant of each it is four times that without.

    Args:
        hashes: (n, 8) uint32, of the whole pictures.
        variants: Further hashes of them.
        max_distance: 0 to 47 bits.

    Returns:
        Each pair once, with the smallest of its distances, in ascending order of left, then right.
    """
    owners = np.concatenate([np.arange(len(hashes), dtype=np.int32), *(variant.owners for variant in variants)])
    pairs = near_pairs(np.concatenate([hashes, *(variant.hashes for variant in variants)]), max_distance)
    first, second = owners[pairs.left], owners[pairs.right]
    # The hashes of whole pictures come first, so the left one of a pair is whole unless both are variants.
    told = (pairs.left < len(hashes)) & (first != second)
    left, right = np.minimum(first, second)[told], np.maximum(first, second)[told]
    distance = pairs.distance[told]
    order = np.lexsort((distance, right, left))
    left, right, distance = left[order], right[order], distance[order]
    nearest = np.ones(len(order), bool)
    nearest[1:] = (left[1:] != left[:-1]) | (right[1:] != right[:-1])
    return NearPairs(left[nearest], right[nearest], distance[nearest])
