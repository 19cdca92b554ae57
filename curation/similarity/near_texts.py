"""Pairs of texts that share most of their shingles: found by MinHash in bands, verified exactly.

Source: Broder, "On the resemblance and containment of documents" (1997); Indyk and Motwani, "Approximate nearest
    neighbors" (1998), for the bands. Two texts of similarity s have an equal band with probability 1 - (1 - s^r)^b, of
    b bands of r permutations: of 32 bands of 5, 0.999997 at 0.8, 0.997 at 0.7, 0.64 at 0.5.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.similarity.shingles import Shingles, jaccard

_CHUNK = 1 << 15
_BLOCK = 1 << 20
PARTNERS = 100
"""In a larger bucket each text is compared with so many behind it: a bucket of n would have n^2 / 2 pairs."""
_MIX = np.uint64(0xBF58476D1CE4E5B9)

Places = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class NearTexts:
    """Pairs of near texts.

    Attributes:
        left: (m,) int32.
        right: (m,) int32, larger than the left one.
        similarity: (m,) float32, Jaccard similarity of their shingles.
        crowded: Texts that share a band with more than a hundred others behind them, and were compared with so many.
    """

    left: Places
    right: Places
    similarity: npt.NDArray[np.float32]
    crowded: int = 0


def near_texts(shingles: Shingles, threshold: float, permutations: int, bands: int, seed: int) -> NearTexts:
    """Pairs of texts whose similarity is at least the threshold, by left, then right.

    A pair is missed where no band of it is equal, or where more than a hundred texts between the two share each such
    band.

    Args:
        shingles: Of n texts.
        threshold: 0 to 1.
        permutations: Of MinHash, a multiple of the bands.
        bands: The more, the fewer pairs are missed, and the more are looked at in vain.
        seed: Of the permutations.
    """
    keys = _band_keys(shingles, permutations // bands, bands, seed)
    sizes = shingles.sizes
    found: list[NearTexts] = []
    crowded = np.zeros(len(sizes), bool)
    for band in range(bands):
        for left, right in _candidates(keys[band], crowded):
            left, right = _fitting(sizes, left, right, threshold)
            for earlier in range(band):
                fresh = keys[earlier, left] != keys[earlier, right]
                left, right = left[fresh], right[fresh]
            similarity = jaccard(shingles, left, right)
            near = similarity.astype(np.float64) >= threshold - 1e-7
            found.append(NearTexts(left[near], right[near], similarity[near]))
    left = np.concatenate([np.zeros(0, np.int32), *(pairs.left for pairs in found)])
    right = np.concatenate([np.zeros(0, np.int32), *(pairs.right for pairs in found)])
    similarity = np.concatenate([np.zeros(0, np.float32), *(pairs.similarity for pairs in found)])
    order = np.lexsort((right, left))
    return NearTexts(left[order], right[order], similarity[order], int(crowded.sum()))


def _band_keys(shingles: Shingles, per_band: int, bands: int, seed: int) -> npt.NDArray[np.uint32]:
    """(bands, n) uint32: of each text, a hash of its minima under the permutations of each band."""
    count = len(shingles.starts) - 1
    generator = np.random.Generator(np.random.PCG64(seed))
    factors = generator.integers(0, 2**63, (bands, per_band), np.uint64) * np.uint64(2) + np.uint64(1)
    added = generator.integers(0, 2**63, (bands, per_band), np.uint64)
    keys = np.empty((bands, count), np.uint32)

    def fill(start: int) -> None:
        begins = shingles.starts[start : start + _CHUNK + 1]
        laid, order, shapes = _by_size(shingles.hashes[begins[0] : begins[-1]], begins - begins[0])
        hashed = np.empty_like(laid)
        for band in range(bands):
            key = np.zeros(len(order), np.uint64)
            for factor, offset in zip(factors[band], added[band], strict=True):
                np.multiply(laid, factor, out=hashed)
                hashed += offset
                # Multiply-add-shift: the upper half of the product is what is mixed well. The least product has the
                # least upper half.
                key = (key ^ (_minima(hashed, shapes) >> np.uint64(32))) * _MIX
                key ^= key >> np.uint64(31)
            keys[band, start + order] = (key >> np.uint64(32)).astype(np.uint32)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        for _ in threads.map(fill, range(0, count, _CHUNK)):
            pass
    return keys


def _by_size(
    hashes: npt.NDArray[np.uint64], starts: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], list[tuple[int, int]]]:
    """Sets laid out so that minima are taken over whole rows of a table, which is several times faster.

    Returns:
        laid: Tables, one behind the other, each column a set; a smaller set has its last member several times.
        order: (n,) int64, the set of each column.
        shapes: Of each table, its rows and columns.
    """
    sizes = np.diff(starts)
    # Sets within an eighth of each other's size share a table.
    step = 1 << np.maximum(np.log2(sizes).astype(np.int64) - 3, 0)
    rows = -(-sizes // step) * step
    order = np.argsort(rows, kind="stable")
    different, columns = np.unique(rows, return_counts=True)
    places = []
    for height, sets in zip(different, np.split(order, np.cumsum(columns)[:-1]), strict=True):
        within = np.minimum(np.arange(height)[:, None], sizes[sets] - 1)
        places.append((starts[sets] + within).ravel())
    return hashes[np.concatenate(places)], order, list(zip(different.tolist(), columns.tolist(), strict=True))


def _minima(values: npt.NDArray[np.uint64], shapes: list[tuple[int, int]]) -> npt.NDArray[np.uint64]:
    """(n,) uint64: the least of each column of tables as `_by_size` lays them out."""
    found = np.empty(sum(columns for _, columns in shapes), np.uint64)
    begin = at = 0
    for rows, columns in shapes:
        table = values[begin : begin + rows * columns].reshape(rows, columns)
        np.minimum.reduce(table, axis=0, out=found[at : at + columns])
        begin, at = begin + rows * columns, at + columns
    return found


def _fitting(sizes: npt.NDArray[np.int64], left: Places, right: Places, threshold: float) -> tuple[Places, Places]:
    """The pairs whose sets are not so different in size that they cannot reach the threshold."""
    small, large = np.minimum(sizes[left], sizes[right]), np.maximum(sizes[left], sizes[right])
    fitting = small >= (threshold - 1e-7) * large
    return left[fitting], right[fitting]


def _candidates(keys: npt.NDArray[np.uint32], crowded: npt.NDArray[np.bool_]) -> Iterator[tuple[Places, Places]]:
    """Yields pairs of texts with the same key, the smaller one first, some million at a time.

    Args:
        keys: (n,) uint32.
        crowded: (n,) bool, set where a text has more partners than it is compared with.
    """
    # Sorted together with their places: several times as fast as sorting places by keys.
    packed = keys.astype(np.uint64) << np.uint64(32) | np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    order, held = packed.astype(np.uint32).view(np.int32), (packed >> np.uint64(32)).astype(np.uint32)
    del packed
    pairs: list[tuple[Places, Places]] = []
    waiting = 0
    # Places whose partner so many places on still has their key: fewer with each step.
    places = np.flatnonzero(held[1:] == held[:-1])
    for step in range(1, PARTNERS + 1):
        if not len(places):
            break
        pairs.append((order[places], order[places + step]))
        waiting += len(places)
        if waiting > _BLOCK:
            yield np.concatenate([left for left, _ in pairs]), np.concatenate([right for _, right in pairs])
            pairs, waiting = [], 0
        places = places[places + step + 1 < len(held)]
        places = places[held[places + step + 1] == held[places]]
    if pairs:
        yield np.concatenate([left for left, _ in pairs]), np.concatenate([right for _, right in pairs])
    crowded[order[places]] = True
