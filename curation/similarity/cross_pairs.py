"""Near pairs of hashes between two sets."""

from __future__ import annotations

import numpy as np

from curation.similarity.hashes import Hashes
from curation.similarity.near_pairs import NearPairs, near_pairs


def cross_pairs(left: Hashes, right: Hashes, max_distance: int) -> NearPairs:
    """Every pair of a hash of the left set and one of the right set within `max_distance`, by left, then right.

    Args:
        left: (n, 8) uint32, without equals; the larger set: pairs within it are not looked for.
        right: (m, 8) uint32, without equals: pairs within it are found as well, and thrown away.
        max_distance: 0 to 47 bits.
    """
    pairs = near_pairs(np.concatenate([left, right]), max_distance, known=len(left))
    across = pairs.left < len(left)
    return NearPairs(pairs.left[across], (pairs.right[across] - len(left)).astype(np.int32), pairs.distance[across])
