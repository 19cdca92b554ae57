"""Texts as sets of shingles, runs of consecutive words: how alike two texts are is how much their sets overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import polars as pl

_BLOCK = 1 << 21
_TEXTS = 1 << 18
"""Texts whose words are held at a time."""
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
    """The shingles of texts. Beside the result, memory holds 8 bytes for each shingle and some of a few texts.

    Args:
        texts: (n,) String in normal form, none empty, words separated by a space.
        length: Words of a shingle; a text of fewer words is one shingle.
    """
    hashes, sizes = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for start in range(0, len(texts), _TEXTS):
        own, counts = _sets(texts.slice(start, _TEXTS), length)
        hashes.append(own)
        sizes.append(counts)
    every = np.concatenate(hashes)
    hashes.clear()
    starts = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
    return Shingles(every, _numbered(every), starts.astype(np.int64))


def _sets(texts: pl.Series, length: int) -> tuple[Words, npt.NDArray[np.int64]]:
    """Of each text the hashes of its different shingles, in ascending order, one text behind the other; how many."""
    lists = texts.str.split(" ")
    sizes = lists.list.len().to_numpy().astype(np.int64)
    words = _word_hashes(lists.explode(empty_as_null=False))
    ends = np.cumsum(sizes)
    counts = np.maximum(sizes - length + 1, 1)
    owner = np.repeat(np.arange(len(texts)), counts)
    begin = (ends - sizes)[owner] + np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    stop = ends[owner]
    combined = np.zeros(len(owner), np.uint64)
    with np.errstate(over="ignore"):
        for step in range(length):
            inside = begin + step < stop
            word = words[np.minimum(begin + step, len(words) - 1)] if len(words) else combined
            combined = np.where(inside, (combined ^ (combined >> np.uint64(29))) * _FACTOR + word, combined)
    order = np.lexsort((combined, owner))
    combined, owner = combined[order], owner[order]
    first = np.ones(len(order), bool)
    first[1:] = (combined[1:] != combined[:-1]) | (owner[1:] != owner[:-1])
    return combined[first], np.bincount(owner[first], minlength=len(texts)).astype(np.int64)


def _numbered(hashes: Words) -> npt.NDArray[np.uint32]:
    """(s,) uint32: the rank of each hash among the different ones."""
    order = np.argsort(hashes)
    numbers = np.empty(len(hashes), np.uint32)
    number, last = -1, None
    for start in range(0, len(order), _BLOCK):
        places = order[start : start + _BLOCK]
        values = hashes[places]
        new = np.ones(len(values), np.int64)
        new[1:] = values[1:] != values[:-1]
        new[0] = last is None or values[0] != last
        ranks = number + np.cumsum(new)
        numbers[places] = ranks
        number, last = int(ranks[-1]), values[-1]
    return numbers


def _word_hashes(words: pl.Series) -> Words:
    different = words.unique().sort()
    hashed = np.fromiter(
        (int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little") for word in different),
        np.uint64,
        len(different),
    )
    numbers = words.cast(pl.Enum(different)).to_physical().to_numpy()
    return np.asarray(hashed[numbers], np.uint64)


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
