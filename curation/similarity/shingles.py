"""Texts as sets of shingles, runs of consecutive words: how alike two texts are is how much their sets overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import polars as pl

_BLOCK = 1 << 21
_FACTOR = np.uint64(0x9E3779B97F4A7C15)

Places = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Shingles:
    """The sets of shingles of n texts, one behind the other.

    Attributes:
        hashes: (s,) uint64, a hash of each shingle: by its words alone, the same on every machine.
        numbers: (s,) uint32, equal for equal shingles; ascending within a text.
        starts: (n + 1,) int64, where the set of each text begins.
    """

    hashes: Words
    numbers: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.int64]

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """(n,) int64: different shingles of each text."""
        return np.diff(self.starts)


def shingles_of(texts: pl.Series, length: int) -> Shingles:
    """The shingles of texts.

    Args:
        texts: (n,) String in normal form, none empty, words separated by a space.
        length: Words of a shingle; a text of fewer words is one shingle.
    """
    lists = texts.str.split(" ")
    sizes = lists.list.len().to_numpy().astype(np.int64)
    hashes = _word_hashes(lists.explode(empty_as_null=False))
    ends = np.cumsum(sizes)
    counts = np.maximum(sizes - length + 1, 1)
    owner = np.repeat(np.arange(len(texts)), counts)
    begin = (ends - sizes)[owner] + np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    stop = ends[owner]
    combined = np.zeros(len(owner), np.uint64)
    with np.errstate(over="ignore"):
        for step in range(length):
            inside = begin + step < stop
            word = hashes[np.minimum(begin + step, len(hashes) - 1)] if len(hashes) else combined
            combined = np.where(inside, (combined ^ (combined >> np.uint64(29))) * _FACTOR + word, combined)
    different, numbers = np.unique(combined, return_inverse=True)
    packed = np.unique(owner.astype(np.uint64) << np.uint64(32) | numbers.astype(np.uint64))
    kept = (packed & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    starts = np.searchsorted(packed >> np.uint64(32), np.arange(len(texts) + 1).astype(np.uint64))
    return Shingles(different[kept], kept, starts.astype(np.int64))


def _word_hashes(words: pl.Series) -> Words:
    different = words.unique().sort()
    hashed = [int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little") for word in different.to_list()]
    numbers = words.cast(pl.Enum(different)).to_physical().to_numpy()
    return np.asarray(np.array(hashed, np.uint64)[numbers], np.uint64)


def jaccard(shingles: Shingles, left: Places, right: Places) -> npt.NDArray[np.float32]:
    """Of each pair of texts, the share of their shingles that both have: (m,) float32, 0 to 1."""
    sizes = shingles.sizes
    result = np.empty(len(left), np.float32)
    for block in _blocks(sizes[left] + sizes[right]):
        both = [_of_pairs(shingles, side[block]) for side in (left, right)]
        packed = np.sort(np.concatenate(both))
        shared = packed[1:][packed[1:] == packed[:-1]] >> np.uint64(32)
        common = np.bincount(shared.astype(np.int64), minlength=len(left[block]))
        result[block] = common / (sizes[left[block]] + sizes[right[block]] - common)
    return result


def _of_pairs(shingles: Shingles, texts: Places) -> npt.NDArray[np.uint64]:
    """The numbers of all shingles of the texts, each behind the place of its text."""
    sizes = shingles.sizes[texts]
    owner = np.repeat(np.arange(len(texts)), sizes)
    offsets = np.repeat(shingles.starts[texts] - (np.cumsum(sizes) - sizes), sizes)
    numbers = shingles.numbers[offsets + np.arange(len(owner))]
    return owner.astype(np.uint64) << np.uint64(32) | numbers.astype(np.uint64)


def _blocks(weights: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Slices of a few million shingles."""
    totals = np.cumsum(weights)
    start = 0
    while start < len(weights):
        done = totals[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(totals, done + _BLOCK, side="right")))
        yield slice(start, stop)
        start = stop
