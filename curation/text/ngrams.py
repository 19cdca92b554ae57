"""How much of a text is repeated, by its n-grams of characters or words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_TEXT_SHIFT = np.uint64(40)
_HASH_MASK = np.uint64((1 << 40) - 1)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class _NgramCounts:
    """How often each distinct n-gram occurs in its text.

    Attributes:
        texts: (m,) int64, ascending: the text of each distinct n-gram.
        counts: (m,) int64.
        number: Of texts.
    """

    texts: Counts
    counts: Counts
    number: int

    def sums(self, chosen: npt.NDArray[np.bool_]) -> Counts:
        """(number,) int64: the occurrences of the chosen n-grams in each text."""
        return np.bincount(self.texts[chosen], self.counts[chosen], self.number).astype(np.int64)

    def sizes(self, chosen: npt.NDArray[np.bool_]) -> Counts:
        """(number,) int64: how many of the chosen n-grams each text has."""
        return np.bincount(self.texts[chosen], minlength=self.number)


def char_repetition(texts: pl.Series, length: int) -> Floats:
    """The share of a text's character n-grams that its most frequent ones take.

    The most frequent ones are as many as the square root of the distinct ones, and only such as occur twice, so that
    neither a long text is punished for a common ending nor a short one excused.

    Args:
        texts: (n,) String; null counts as empty.
        length: Characters of an n-gram.

    Returns:
        (n,) float32; 0 for a text shorter than an n-gram.

    Source: Laurençon et al., The BigScience ROOTS Corpus (2022), taken over by OBELICS (2023).
    """
    some = texts.fill_null("")
    codes = np.frombuffer("".join(some.to_list()).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    found = _counted(codes, some.str.len_chars().to_numpy().astype(np.int64), length)
    every = np.ones(len(found.counts), bool)
    distinct = found.sizes(every)
    room = np.minimum(np.sqrt(distinct).astype(np.int64), found.sizes(found.counts > 1))
    order = np.lexsort((-found.counts, found.texts))
    starts = np.cumsum(distinct) - distinct
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - starts[found.texts[order]]
    return _shares(found.sums(rank < room[found.texts]), found.sums(every))


def word_ngram_repetition(words: pl.Series, length: int) -> Floats:
    """The share of a text's word n-grams that occur more than once.

    Args:
        words: (n,) List(String), as `curation.text.words` makes them.
        length: Words of an n-gram.

    Returns:
        (n,) float32; 0 for a text of fewer words than an n-gram.

    Source: as of `char_repetition`.
    """
    lengths = words.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = words.explode(empty_as_null=False, keep_nulls=False)
    found = _counted(flat.hash().to_numpy(), lengths, length)
    every = np.ones(len(found.counts), bool)
    return _shares(found.sums(found.counts > 1), found.sums(every))


def _counted(items: npt.NDArray[np.uint64], lengths: Counts, length: int) -> _NgramCounts:
    """Counts the n-grams of all texts at once: each is one number, of its text and a hash of 40 bits."""
    of_item = np.repeat(np.arange(len(lengths), dtype=np.uint64), lengths)
    windows = max(len(items) - length + 1, 0)
    hashes = np.zeros(windows, np.uint64)
    for place in range(length):
        hashes = (hashes ^ items[place : place + windows]) * _FACTOR
        hashes ^= hashes >> np.uint64(29)
    within = of_item[:windows] == of_item[length - 1 :] if windows else np.zeros(0, bool)
    keys = (of_item[:windows][within] << _TEXT_SHIFT) | (hashes[within] & _HASH_MASK)
    distinct, counts = np.unique(keys, return_counts=True)
    return _NgramCounts((distinct >> _TEXT_SHIFT).astype(np.int64), counts.astype(np.int64), len(lengths))


def _shares(part: Counts, whole: Counts) -> Floats:
    return (part / np.maximum(whole, 1)).astype(np.float32)
