"""Texts as sets of shingles, runs of consecutive words: how alike two texts are is how much their sets overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

_BLOCK = 1 << 21
"""Shingles of pairs that are compared at a time."""
_TEXTS = 1 << 14
"""Texts that are cut into words at a time, and pairs that are compared: what is held of them fits a cache."""
_BYTES = 1 << 21
"""Bytes of texts that are cut into words at a time, if they are of more than one text."""
_HASH_BITS = np.uint64(48)
"""Of a hash of a shingle: below the number of one of 2^16 texts, it fits 64 bits. Two texts of a hundred shingles each
have one in common by mistake once in 10^10 pairs."""
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(int(_FACTOR), -1, 2**64))
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_SPACE = 0x20

Places = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]


def _letters() -> Words:
    """(256,) uint64: a number for each byte; none for a space, which stands between words."""
    letters = np.random.Generator(np.random.PCG64(0)).integers(0, 2**63, 256, np.uint64) * np.uint64(2) + np.uint64(1)
    letters[_SPACE] = 0
    return letters


_LETTERS = _letters()


@dataclass(frozen=True, slots=True)
class Shingles:
    """The sets of shingles of n texts, one behind the other.

    Attributes:
        hashes: (s,) uint64 below 2^48, a hash of each shingle: by its words alone, the same on every machine; ascending
            within a text.
        starts: (n + 1,) int64, where the set of each text begins.
    """

    hashes: Words
    starts: Counts

    @property
    def sizes(self) -> Counts:
        """(n,) int64: different shingles of each text."""
        return np.diff(self.starts)

    def sizes_of(self, texts: Places) -> Counts:
        """(m,) int64: different shingles of some texts. Nothing is done for the others."""
        return self.starts[texts + 1] - self.starts[texts]


def shingles_of(texts: pl.Series, length: int) -> Shingles:
    """The shingles of texts. Beside the result, memory holds what a few texts take.

    Args:
        texts: (n,) String in normal form, none empty or null, words separated by a space.
        length: Words of a shingle; a text of fewer words is one shingle.
    """
    words = texts.str.count_matches(" ", literal=True).to_numpy().astype(np.int64) + 1
    # As many as there are if none is twice in a text; pages that are never written take no memory.
    hashes = np.empty(int(np.maximum(words - length + 1, 1).sum()), np.uint64)
    starts = np.zeros(len(texts) + 1, np.int64)
    done = 0
    for piece in _pieces(texts.str.len_bytes().to_numpy()):
        own, sizes = _sets(texts[piece], words[piece], length)
        hashes[done : done + len(own)] = own
        starts[piece.start + 1 : piece.stop + 1] = done + np.cumsum(sizes)
        done += len(own)
    return Shingles(hashes[:done], starts)


def _pieces(sizes: npt.NDArray[np.uint32]) -> Iterator[slice]:
    for start in range(0, len(sizes), _TEXTS):
        for piece in _blocks(sizes[start : start + _TEXTS].astype(np.int64), _BYTES):
            yield slice(start + piece.start, start + piece.stop)


def _sets(texts: pl.Series, sizes: Counts, length: int) -> tuple[Words, Counts]:
    """Of each text the hashes of its different shingles, in ascending order, one text behind the other; how many.

    Args:
        texts: (n,) String.
        sizes: (n,) int64, their words.
        length: Words of a shingle.
    """
    combined = _word_hashes(texts)
    words = combined.copy()
    owner = np.repeat(np.arange(len(sizes), dtype=np.uint64), sizes)
    # A shingle begins at every word that enough of the same text follow, and at the first one in any case.
    begins = np.zeros(len(owner), bool)
    followed = max(len(owner) - length + 1, 0)
    begins[:followed] = owner[len(owner) - followed :] == owner[:followed]
    begins[np.cumsum(sizes) - sizes] = True
    with np.errstate(over="ignore"):
        for step in range(1, min(length, len(owner))):
            earlier = combined[:-step]
            longer = (earlier ^ (earlier >> np.uint64(29))) * _FACTOR + words[step:]
            np.copyto(earlier, longer, where=owner[step:] == owner[:-step])
        combined, owner = combined[begins], owner[begins]
        combined = (combined ^ (combined >> np.uint64(32))) * _MIX
    packed = owner << _HASH_BITS | combined >> (np.uint64(64) - _HASH_BITS)
    packed.sort()
    packed = packed[np.concatenate([[True], packed[1:] != packed[:-1]])]
    different = np.bincount((packed >> _HASH_BITS).astype(np.int64), minlength=len(sizes))
    return packed & ((np.uint64(1) << _HASH_BITS) - np.uint64(1)), different


def _word_hashes(texts: pl.Series) -> Words:
    """A hash of each word of all texts: the sum of its bytes' numbers, each by a power for its place."""
    array = texts.to_arrow()
    places, held = array.buffers()[1:]
    bounds = np.frombuffer(places, np.int64, len(array) + 1, 8 * array.offset)
    data = np.frombuffer(held, np.uint8)[bounds[0] : bounds[-1]]
    first = np.zeros(len(data), bool)
    np.equal(data[:-1], _SPACE, out=first[1:])
    first[bounds[:-1] - bounds[0]] = True
    begins = np.flatnonzero(first)
    lengths = np.diff(begins, append=len(data))
    with np.errstate(over="ignore"):
        # By powers for the places among all bytes, which are read in order, and then back to places in the word.
        powers = np.cumprod(np.full(len(data), _FACTOR))
        powers *= _LETTERS[data]
        sums = np.add.reduceat(powers, begins)
        back = np.cumprod(np.full(int(lengths.max()), _INVERSE))
        sums[1:] *= np.cumprod(back[lengths[:-1] - 1])
        return np.asarray((sums ^ (sums >> np.uint64(32))) * _MIX, np.uint64)


def jaccard(shingles: Shingles, left: Places, right: Places) -> npt.NDArray[np.float32]:
    """Of each pair of texts, the share of their shingles that both have: (m,) float32, 0 to 1."""
    result = np.empty(len(left), np.float32)
    for start in range(0, len(left), _TEXTS):
        some = slice(start, start + _TEXTS)
        sizes = shingles.sizes_of(left[some]) + shingles.sizes_of(right[some])
        for block in _blocks(sizes, _BLOCK):
            inside = slice(start + block.start, start + block.stop)
            both = [_of_pairs(shingles, side[inside]) for side in (left, right)]
            packed = np.sort(np.concatenate(both))
            shared = packed[1:][packed[1:] == packed[:-1]] >> _HASH_BITS
            common = np.bincount(shared.astype(np.int64), minlength=len(left[inside]))
            result[inside] = common / (sizes[block] - common)
    return result


def _of_pairs(shingles: Shingles, texts: Places) -> Words:
    """The hashes of all shingles of the texts, each behind the place of its text."""
    sizes = shingles.sizes_of(texts)
    owner = np.repeat(np.arange(len(texts)), sizes)
    offsets = np.repeat(shingles.starts[texts] - (np.cumsum(sizes) - sizes), sizes)
    return owner.astype(np.uint64) << _HASH_BITS | shingles.hashes[offsets + np.arange(len(owner))]


def _blocks(weights: Counts, most: int) -> Iterator[slice]:
    """Slices of which each weighs no more than that, or is one alone."""
    totals = np.cumsum(weights)
    start = 0
    while start < len(weights):
        done = totals[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(totals, done + most, side="right")))
        yield slice(start, stop)
        start = stop
