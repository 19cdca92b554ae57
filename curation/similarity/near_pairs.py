"""All pairs of hashes within a Hamming distance, found exactly and without comparing every pair.

Source: Norouzi, Punjani and Fleet, "Fast Exact Search in Hamming Space with Multi-Index Hashing" (PAMI 2014), twice:
two hashes within 31 bits differ by at most 3 bits in one of their eight 32-bit words, and two words within 3 bits
differ by at most 1 bit in one of their halves. So candidates are the hashes whose 16-bit bands are equal or differ by
one bit, of these only the ones whose whole word is close are compared in full, and every pair is reported by the first
band that finds it. What departs from the paper is that the hashes are joined with themselves band by band, over arrays
sorted by band, instead of being looked up one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from curation.similarity.hashes import WORD_BITS, WORDS, Hashes, distances

MAX_DISTANCE = 47
"""Beyond it, a band would have to differ by three bits, and most hashes would meet."""

_BAND_BITS = WORD_BITS // 2
_BANDS = 2 * WORDS
_BUCKETS = 1 << _BAND_BITS
_BLOCK = 1 << 20

Places = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class NearPairs:
    """Pairs of near hashes.

    Attributes:
        left: (m,) int32, place of the first hash of each pair.
        right: (m,) int32, place of the second, larger than the first.
        distance: (m,) int16, in bits.
    """

    left: Places
    right: Places
    distance: npt.NDArray[np.int16]


def near_pairs(hashes: Hashes, max_distance: int) -> NearPairs:
    """Every pair within `max_distance`, once, in ascending order of left, then right.

    A million random hashes and 31 bits take half a minute of one core and 400 MB: 2 billion comparisons of 16 bits,
    which grow with the square of the number. Equal hashes are pairs too: remove them first where there are many.

    Args:
        hashes: (n, 8) uint32.
        max_distance: 0 to 47 bits.

    Raises:
        ValueError: The distance is out of range.
    """
    if not 0 <= max_distance <= MAX_DISTANCE:
        raise ValueError(f"max_distance must be from 0 to {MAX_DISTANCE}, not {max_distance}")
    found = [pairs for band in range(_BANDS) for pairs in _pairs_of_band(hashes, band, max_distance)]
    left = np.concatenate([np.zeros(0, np.int32), *(pairs.left for pairs in found)])
    right = np.concatenate([np.zeros(0, np.int32), *(pairs.right for pairs in found)])
    distance = np.concatenate([np.zeros(0, np.int16), *(pairs.distance for pairs in found)])
    order = np.lexsort((right, left))
    return NearPairs(left[order], right[order], distance[order])


def _pairs_of_band(hashes: Hashes, band: int, max_distance: int) -> Iterator[NearPairs]:
    """Yields the pairs that this band finds and no earlier one did."""
    word_radius, band_radius = _radii(max_distance)
    for left, right in _candidates(hashes, band, word_radius, band_radius):
        first, second = hashes[left], hashes[right]
        distance = distances(first, second)
        near = distance <= max_distance
        # Most candidates are far apart: what costs more is asked of the near ones alone.
        left, right, distance = left[near], right[near], distance[near]
        fresh = _first_band(first[near] ^ second[near], word_radius, band_radius) == band
        left, right = left[fresh], right[fresh]
        yield NearPairs(np.minimum(left, right), np.maximum(left, right), distance[fresh])


def _radii(max_distance: int) -> tuple[int, int]:
    """By how many bits the nearest word, and the nearer band of that word, may differ at most."""
    word_radius = max_distance // WORDS
    return word_radius, word_radius // 2


def _first_band(differences: Hashes, word_radius: int, band_radius: int) -> npt.NDArray[np.int64]:
    """The first band by which a pair becomes a candidate, from the XOR of its hashes: (m,) int64."""
    close_words = np.bitwise_count(differences) <= word_radius
    halves = np.stack([differences & 0xFFFF, differences >> _BAND_BITS], axis=2)
    close_bands = (np.bitwise_count(halves) <= band_radius) & close_words[:, :, None]
    return np.asarray(close_bands.reshape(len(differences), _BANDS).argmax(axis=1), np.int64)


def _candidates(hashes: Hashes, band: int, word_radius: int, band_radius: int) -> Iterator[tuple[Places, Places]]:
    """Yields blocks of pairs whose band differs by at most `band_radius` bits and whose word by at most `word_radius`.

    Sorted by band, the hashes of a bucket lie side by side, so the partners of a hash are a range of places.
    """
    word = hashes[:, band // 2]
    own, other = word & 0xFFFF, word >> _BAND_BITS
    if band % 2:
        own, other = other, own
    order = np.argsort(own.astype(np.uint16), kind="stable").astype(np.int32)
    bucket = own[order].astype(np.int64)
    rest = other[order].astype(np.uint16)
    starts = np.searchsorted(bucket, np.arange(_BUCKETS + 1))
    here = np.arange(len(order))
    for flip in _flips(band_radius):
        partner = bucket ^ flip
        # Of two buckets, the hashes of the lower one look for partners; within a bucket, each looks behind itself.
        lower = np.nonzero(partner >= bucket)[0]
        begins = starts[partner[lower]] if flip else here + 1
        ends = starts[partner[lower] + 1]
        spare = word_radius - int(flip).bit_count()
        for left, right in _ranges(lower, begins, ends):
            close = np.nonzero(np.bitwise_count(rest[left] ^ rest[right]) <= spare)[0]
            yield order[left[close]], order[right[close]]


def _flips(radius: int) -> list[int]:
    """Every difference of two bands within the radius, 0 first."""
    bits = [1 << bit for bit in range(_BAND_BITS)]
    return [sum(chosen) for count in range(radius + 1) for chosen in combinations(bits, count)]


def _ranges(
    items: npt.NDArray[np.int64], begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> Iterator[tuple[Places, Places]]:
    """Yields each item beside each place of its range, about a million at a time."""
    counts = ends - begins
    totals = np.cumsum(counts)
    at = 0
    while at < len(items):
        done = totals[at - 1] if at else 0
        stop = max(at + 1, int(np.searchsorted(totals, done + _BLOCK, side="right")))
        sizes = counts[at:stop]
        offsets = (begins[at:stop] - (totals[at:stop] - sizes - done)).astype(np.int32)
        size = int(totals[stop - 1] - done)
        left = np.repeat(items[at:stop].astype(np.int32), sizes)
        right = np.repeat(offsets, sizes)
        right += np.arange(size, dtype=np.int32)
        yield left, right
        at = stop
