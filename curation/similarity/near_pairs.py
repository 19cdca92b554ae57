"""All pairs of hashes within a Hamming distance, found exactly and without comparing every pair.

Band by band (`bands.py`), the hashes are sorted by the band and joined with themselves: for each difference that the
band may have, the bucket of every hash is looked up with that difference, and the hashes there are compared by the 64
bits that begin with the band, then in full. A pair is reported by the first band that finds it, so the result does not
depend on which bands were chosen. Tables are of 2^20 buckets at most: a wider band is joined in tiles, by its upper
bits, so that what is looked up stays in a cache and memory is bounded whatever the band.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.similarity.bands import WINDOW_BITS, Band, choose_bands, flips
from curation.similarity.hashes import BITS, Hashes

MAX_DISTANCE = 47
"""Beyond it, bands would have to be so narrow or differ by so much that most hashes would meet."""

_TABLE_BITS = 20
_BLOCK = 1 << 16
_STEPS = 4
"""Candidates of a bucket that are taken one by one: most buckets have fewer."""
_DENSE = 1
"""Hashes for each bucket from which on most buckets have some, and looking which have is for nothing."""

Places = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint64]


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


def near_pairs(hashes: Hashes, max_distance: int, known: int = 0, threads: int | None = None) -> NearPairs:
    """Every pair within `max_distance`, once, in ascending order of left, then right.

    Equal hashes are pairs too: remove them first where there are many. Memory for each thread, beside the hashes and
    the pairs: 50 bytes a hash and 15 MB.

    Args:
        hashes: (n, 8) uint32.
        max_distance: 0 to 47 bits.
        known: The pairs among so many of the first hashes are known, and left out.
        threads: How many bands are joined at a time; None: as many as this process has processors.

    Raises:
        ValueError: The distance is out of range.
    """
    if not 0 <= max_distance <= MAX_DISTANCE:
        raise ValueError(f"max_distance must be from 0 to {MAX_DISTANCE}, not {max_distance}")
    words = np.ascontiguousarray(hashes).view(np.uint64)
    bands = choose_bands(len(hashes), max_distance)
    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        found = list(pool.map(lambda place: pairs_of_band(words, bands, place, max_distance, known), range(len(bands))))
    left, right, distance = (
        np.concatenate([getattr(pairs, name) for pairs in found]) for name in ("left", "right", "distance")
    )
    order = np.lexsort((right, left))
    return NearPairs(left[order], right[order], distance[order])


def pairs_of_band(words: Words, bands: Sequence[Band], place: int, max_distance: int, known: int) -> NearPairs:
    """The pairs that one band finds and none before it does, in no order.

    Args:
        words: (n, 4) uint64, one row per hash.
        bands: All bands.
        place: Which of them.
        max_distance: As of `near_pairs`.
        known: As of `near_pairs`.
    """
    found = []
    for first, second in _candidates(words, bands[place], known):
        differences = words[first] ^ words[second]
        distance = np.bitwise_count(differences).sum(axis=1, dtype=np.int16)
        # Most candidates are far apart: what costs more is asked of the near ones alone.
        fresh = np.flatnonzero(distance <= max_distance)
        for band in bands[:place]:
            fresh = fresh[~_finds(band, differences[fresh])]
        first, second = first[fresh], second[fresh]
        found.append((np.minimum(first, second), np.maximum(first, second), distance[fresh]))
    kinds = (np.int32, np.int32, np.int16)
    return NearPairs(
        *(np.concatenate([np.zeros(0, kind), *parts]) for kind, parts in zip(kinds, _columns(found), strict=True))
    )


def _columns(found: list[tuple[Places, Places, npt.NDArray[np.int16]]]) -> Sequence[Sequence[npt.NDArray[np.generic]]]:
    return tuple(zip(*found, strict=True)) or ((), (), ())


def _window(words: Words, band: Band) -> Words:
    """(n,) uint64: the bits from the band's first one on, those beyond its window cleared."""
    word, shift = divmod(band.offset, WINDOW_BITS)
    window = words[:, word] << np.uint64(shift)
    if shift:
        window |= words[:, (word + 1) % (BITS // WINDOW_BITS)] >> np.uint64(WINDOW_BITS - shift)
    spare = np.uint64(WINDOW_BITS - band.window_bits)
    return window >> spare << spare if spare else window


def _finds(band: Band, differences: Words) -> npt.NDArray[np.bool_]:
    """(m,) bool: whether the band makes a candidate of a pair, from the XOR of its hashes."""
    window = _window(differences, band)
    own = window >> np.uint64(WINDOW_BITS - band.bits)
    close = np.bitwise_count(own) <= band.radius
    return np.asarray(close & (np.bitwise_count(window) <= band.window_radius))


def _candidates(words: Words, band: Band, known: int) -> Iterator[tuple[Places, Places]]:
    """Yields the pairs that are within the band's radius, and within its window's, in blocks."""
    window = _window(words, band)
    order = _sorted_by((window >> np.uint64(WINDOW_BITS - band.bits)).astype(np.uint32), band.bits)
    window = window[order]
    bucket = (window >> np.uint64(WINDOW_BITS - band.bits)).astype(np.uint32)
    table_bits = min(band.bits, _TABLE_BITS)
    upper_bits = band.bits - table_bits
    begins = np.searchsorted(bucket, np.arange(1 << upper_bits, dtype=np.int64) << table_bits)
    edges = [*begins.tolist(), len(bucket)]
    lower = bucket & np.uint32((1 << table_bits) - 1)
    seekers = order >= known if known else None
    for upper in range(1 << upper_bits):
        if edges[upper] == edges[upper + 1]:
            continue
        tile = _Tile(lower, edges[upper], edges[upper + 1], table_bits)
        for flip in flips(upper_bits, band.radius):
            other = upper ^ flip
            if seekers is None and other > upper:
                continue
            lookups = (
                tile.within(band.radius)
                if seekers is None and not flip
                else tile.lookups(_seekers(seekers, edges[other], edges[other + 1]), band.radius - flip.bit_count())
            )
            for left, right in lookups:
                close = np.bitwise_count(window[left] ^ window[right]) <= band.window_radius
                first, second = order[left[close]], order[right[close]]
                if seekers is not None:
                    # A new hash that meets another is met by it as well.
                    once = first > second
                    first, second = first[once], second[once]
                if len(first):
                    yield first, second


def _sorted_by(buckets: npt.NDArray[np.uint32], bits: int) -> Places:
    """The places of the buckets in ascending order: a radix sort, which numpy has for 16 bits."""
    order = np.argsort(buckets.astype(np.uint16), kind="stable").astype(np.int32)
    if bits <= 16:
        return order
    upper = (buckets >> np.uint32(16)).astype(np.uint16)[order]
    return order[np.argsort(upper, kind="stable")]


def _seekers(seekers: npt.NDArray[np.bool_] | None, begin: int, end: int) -> Places:
    if seekers is None:
        return np.arange(begin, end, dtype=np.int32)
    return (np.flatnonzero(seekers[begin:end]) + begin).astype(np.int32)


class _Tile:
    """A run of the sorted hashes, whose bands agree in their upper bits, with a table of its buckets.

    Args:
        buckets: (n,) uint32, the lower bits of the bands of all hashes.
        begin: Its first place.
        end: The place after its last one.
        bits: How many lower bits there are.
    """

    def __init__(self, buckets: npt.NDArray[np.uint32], begin: int, end: int, bits: int) -> None:
        self._buckets = buckets
        self._places = np.arange(begin, end, dtype=np.int32)
        self._bits = bits
        counts = np.bincount(buckets[begin:end], minlength=1 << bits)
        # Where most buckets are taken, and by several, their hashes are taken together.
        self._steps = _STEPS if end - begin < _DENSE << bits else 0
        self._taken = counts > 0
        self._starts = np.full((1 << bits) + 1, begin, np.int32)
        np.cumsum(counts, out=self._starts[1:])
        self._starts[1:] += begin

    def within(self, radius: int) -> Iterator[tuple[Places, Places]]:
        """Yields the places of the tile beside each other, each two whose bands are within the radius once."""
        own = self._buckets[self._places]
        yield from _met(self._places, self._places + 1, self._starts[own + np.uint32(1)], self._steps)
        for bit in range(self._bits):
            # Of two buckets, the one without the highest differing bit looks the other up.
            clear = self._places[own & np.uint32(1 << bit) == 0]
            yield from self._looked_up(clear, [1 << bit | low for low in flips(bit, radius - 1)] if radius else [])

    def lookups(self, seekers: Places, radius: int) -> Iterator[tuple[Places, Places]]:
        """Yields each of some places, beside the places of this tile whose lower bits are within the radius."""
        yield from self._looked_up(seekers, flips(self._bits, radius))

    def _looked_up(self, seekers: Places, differences: Sequence[int]) -> Iterator[tuple[Places, Places]]:
        for at in range(0, len(seekers), _BLOCK):
            block = seekers[at : at + _BLOCK]
            own = self._buckets[block]
            partner = np.empty_like(own)
            taken = np.empty(len(own), bool)
            for difference in differences:
                np.bitwise_xor(own, np.uint32(difference), out=partner)
                if not self._steps:
                    yield from _met(block, self._starts[partner], self._starts[partner + np.uint32(1)], 0)
                    continue
                # "wrap" spares a check and a copy: buckets are never out of range.
                self._taken.take(partner, out=taken, mode="wrap")
                hits = np.flatnonzero(taken)
                if len(hits):
                    found = partner[hits]
                    yield from _met(block[hits], self._starts[found], self._starts[found + np.uint32(1)], self._steps)


def _met(seekers: Places, begins: Places, ends: Places, steps: int) -> Iterator[tuple[Places, Places]]:
    """Yields each place beside every place of its range, the first ones of all ranges step by step."""
    for _ in range(steps):
        some = begins < ends
        if not some.all():
            seekers, begins, ends = seekers[some], begins[some], ends[some]
        if not len(seekers):
            return
        yield seekers, begins
        begins = begins + np.int32(1)
    counts = (ends - begins).astype(np.int64)
    totals = np.cumsum(counts)
    at = 0
    while at < len(seekers):
        done = totals[at - 1] if at else 0
        stop = max(at + 1, int(np.searchsorted(totals, done + _BLOCK, side="right")))
        sizes = counts[at:stop]
        left = np.repeat(seekers[at:stop], sizes)
        right = np.repeat((begins[at:stop] - (totals[at:stop] - sizes - done)).astype(np.int32), sizes)
        right += np.arange(len(right), dtype=np.int32)
        yield left, right
        at = stop
