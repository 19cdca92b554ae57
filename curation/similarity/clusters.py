"""Groups of near-copies, out of pairs of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

Places = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Clusters:
    """A partition of items that are numbered from the best to the worst.

    Attributes:
        best: (n,) int32, the best item of each item's cluster; its own number for an item without a near-copy.
        split: Sizes of the connected components that were too large and therefore split, largest first.
    """

    best: Places
    split: tuple[int, ...]


def cluster(count: int, left: Places, right: Places, max_size: int) -> Clusters:
    """Puts everything into one cluster that is connected by pairs, unless that makes it too large.

    A chain of near-copies can connect what is not alike at all. So a component of more than
    `max_size` items is split into stars: the best item takes all its partners, then the best of
    the rest takes its own, and so on, and every item is a partner of its cluster's best.

    Args:
        count: How many items there are, numbered from 0, the best first.
        left: (m,) int32, an item of each pair.
        right: (m,) int32, its partner.
        max_size: Items of the largest component that stays whole; 1 makes stars of everything.
    """
    edges = csr_matrix((np.ones(len(left), np.int8), (left, right)), shape=(count, count))
    _, labels = connected_components(edges, directed=False)
    _, firsts, sizes = np.unique(labels, return_index=True, return_counts=True)
    best = firsts[labels].astype(np.int32)
    large = sizes > max(max_size, 2)  # a pair is a star already
    if large.any():
        inside = large[labels[left]]
        _split(best, left[inside], right[inside])
    return Clusters(best, tuple(sorted(sizes[large].tolist(), reverse=True)))


def _split(best: Places, left: Places, right: Places) -> None:
    """Replaces the entries of all items of these pairs by the centres of their stars."""
    both = np.concatenate([left, right]), np.concatenate([right, left])
    order = np.lexsort(both[::-1])
    items, partners = both[0][order], both[1][order]
    centres, starts = np.unique(items, return_index=True)
    ends = np.append(starts[1:], len(items))
    best[centres] = -1
    for centre, start, end in zip(centres.tolist(), starts.tolist(), ends.tolist(), strict=True):
        if best[centre] < 0:
            best[centre] = centre
            around = partners[start:end]
            best[around[best[around] < 0]] = centre
