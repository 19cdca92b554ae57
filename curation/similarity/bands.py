"""Into which bands hashes are cut so that near ones must nearly agree in one of them, and what that costs.

Pigeonholes: where the radii of all bands are such that the sum of (radius + 1) is `max_distance + 1`, two hashes within
`max_distance` bits are within the radius in some band. And more: starting at some band, going round, the distance over
that band and the next ones stays below the sum of their (radius + 1), however many are taken. So a candidate, found by
its band, is first compared over the bands that fill one 64-bit word, which nearly all chance candidates fail.

Wide bands make few candidates but have to be looked up in many spellings; narrow ones are looked up rarely and meet
everything. The former grows with n, the latter with its square, so the more hashes, the wider the cheapest bands.

Source: Norouzi, Punjani and Fleet, "Fast Exact Search in Hamming Space with Multi-Index Hashing" (PAMI 2014), for bands
and their radii; Qin and Xiao, "Pigeonring: A Principle for Faster Thresholded Similarity Search" (VLDB 2018), theorems
3 and 7, for the chain. What departs: hashes are joined with themselves, and the bands are chosen by their cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import comb

from curation.similarity.hashes import BITS

WINDOW_BITS = 64
MAX_BAND_BITS = 32
_FEWEST_BANDS, _MOST_BANDS = 6, 24
_LOOK_UP_NS = 7.0
_CANDIDATE_NS = 11.0
_SORT_NS = 250.0
_BUCKET_NS = 1.5
"""Measured, of one core: a look-up in a table of buckets, a candidate's first word, a hash brought into a band's order,
a bucket of the table."""


@dataclass(frozen=True, slots=True)
class Band:
    """A run of bits of the hash, and the bits that follow it, as far as they are compared with it.

    Attributes:
        offset: Its first bit.
        bits: Its width.
        radius: By how many bits near hashes differ in it at most, if this is the band by which they are found.
        window_bits: Bits from its first one, the next bands included, that are compared first: at most 64.
        window_radius: By how many of them such hashes differ at most.
    """

    offset: int
    bits: int
    radius: int
    window_bits: int
    window_radius: int


def choose_bands(count: int, max_distance: int) -> tuple[Band, ...]:
    """The cheapest bands for joining so many hashes with themselves."""
    _, shape = min(_shapes(count, max_distance))
    return _bands(shape)


def join_cost_ns(count: int, max_distance: int) -> float:
    """What joining so many hashes with themselves costs, estimated, of one core."""
    return min(_shapes(count, max_distance))[0]


@cache
def flips(bits: int, radius: int) -> tuple[int, ...]:
    """Every difference of two bands of so many bits within the radius, 0 first, and then by its highest bit."""
    singles = [1 << bit for bit in range(bits)]
    found = [sum(chosen) for count in range(radius + 1) for chosen in combinations(singles, count)]
    return tuple(sorted(found, key=int.bit_length))


def _shapes(count: int, max_distance: int) -> list[tuple[float, tuple[tuple[int, int], ...]]]:
    """Cost and (bits, radius) of each band, for every number of bands and the best widths for it."""
    shapes = []
    for bands in range(min(_FEWEST_BANDS, max_distance + 1), min(_MOST_BANDS, max_distance + 1) + 1):
        radius, wider = divmod(max_distance + 1, bands)
        # `wider` bands are allowed one bit more than the others, and are wider for it.
        radii = sorted([radius] * wider + [radius - 1] * (bands - wider), reverse=True)
        for narrow in range(max(radius, 4), MAX_BAND_BITS + 1):
            wide = min((BITS - narrow * (bands - wider)) // wider, MAX_BAND_BITS) if wider else narrow
            if wide < narrow or narrow * (bands - wider) + wide * wider > BITS:
                continue
            shape = tuple((wide if each == radius else narrow, each) for each in radii)
            shapes.append((sum(_cost_ns(count, *band) for band in shape), shape))
    return shapes


def _cost_ns(count: int, bits: int, radius: int) -> float:
    spellings = sum(comb(bits, differing) for differing in range(radius + 1))
    looked_up, met = count * spellings / 2, count**2 * spellings / 2 ** (bits + 1)
    prepared = count * _SORT_NS + 2**bits * _BUCKET_NS
    return float(prepared + looked_up * _LOOK_UP_NS + met * _CANDIDATE_NS)


def _bands(shape: tuple[tuple[int, int], ...]) -> tuple[Band, ...]:
    offsets = [sum(bits for bits, _ in shape[:place]) for place in range(len(shape))]
    bands = []
    for place, (bits, radius) in enumerate(shape):
        window_bits = window_radius = 0
        for step in range(len(shape)):
            at = (place + step) % len(shape)
            # The last band may end before the last bit; windows do not reach over the gap.
            if window_bits + shape[at][0] > WINDOW_BITS or (offsets[place] + window_bits) % BITS != offsets[at]:
                break
            window_bits += shape[at][0]
            window_radius += shape[at][1] + 1
        bands.append(Band(offsets[place], bits, radius, window_bits, window_radius - 1))
    return tuple(bands)
