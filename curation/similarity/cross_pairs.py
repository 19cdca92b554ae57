"""Near pairs of hashes between two sets."""

from __future__ import annotations

import numpy as np

from curation.similarity.hashes import Hashes
from curation.similarity.near_pairs import NearPairs, near_pairs


def cross_pairs(left: Hashes, right: Hashes, max_distance: int) -> NearPairs:
    """Every pair of a hash of the left set and one of the right set within `max_distance`, by left, then right.

    The hashes of the larger set are not compared with each other.

    Args:
        left: (n, 8) uint32, without equals: pairs within the smaller set are found as well, and thrown away.
        right: (m, 8) uint32, without equals.
        max_distance: 0 to 47 bits.
    """
    larger, smaller = (left, right) if len(left) >= len(right) else (right, left)
    pairs = near_pairs(np.concatenate([larger, smaller]), max_distance, known=len(larger))
    across = pairs.left < len(larger)
    large, small = pairs.left[across], (pairs.right[across] - len(larger)).astype(np.int32)
    first, second = (large, small) if larger is left else (small, large)
    order = np.lexsort((second, first))
    return NearPairs(first[order], second[order], pairs.distance[across][order])
