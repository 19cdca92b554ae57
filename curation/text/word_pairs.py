"""Pairs of neighbouring words: how often each occurs, which is the rarest of a text, and which are the most frequent.

A pair is two numbers of words, so that nothing is compared as text and no two pairs are taken for one. The different
pairs are never held at once: they are counted by their first words, some of them at a time.

*Tokens* are single words and pairs together. They have one order: by their text, a space between the words of a pair.
As no word holds a character as small as a space, that is the order of the first word's number, then of the second's,
with a word alone before the pairs that it begins.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.text.interned_words import BLOCK, Counts, InternedWords, Numbers, begins_of

NONE = np.uint32(2**32 - 1)
"""The count of a pair where there is none: behind the last word of a text."""
_PIECE = 1 << 22
"""Pairs that are sorted at a time, if they do not all begin with one word."""
_BITS = 64
_THREADS = 8
"""At most: each holds a piece, which is some 40 bytes a pair."""


def pair_counts(texts: InternedWords) -> Numbers:
    """(m,) uint32: how often, in all texts, the pair occurs that each word begins; `NONE` for the last of a text."""
    counts = np.full(len(texts.numbers), NONE, np.uint32)
    second_bits = _bits(len(texts.words))

    def count(firsts: range) -> None:
        places, packed = _packed(texts, firsts, second_bits)
        packed.sort()
        place_bits = np.uint64(_bits(len(places)))
        places = places[packed & ((np.uint64(1) << place_bits) - np.uint64(1))]
        packed >>= place_bits
        heads = np.flatnonzero(packed[1:] != packed[:-1]) + 1
        del packed
        sizes = np.diff(heads, prepend=0, append=len(places)).astype(np.uint32)
        counts[places] = np.repeat(sizes, sizes)

    with ThreadPoolExecutor(min(_THREADS, len(os.sched_getaffinity(0)))) as threads:
        for _ in threads.map(count, _ranges(texts.counts, second_bits)):
            pass
    return counts


def _bits(different: int) -> int:
    """How many bits numbers below that take."""
    return max(different - 1, 0).bit_length()


def _ranges(counts: Counts, second_bits: int) -> Iterator[range]:
    """Ranges of first words: what begins with them is of `_PIECE` pairs at most, or with one word alone.

    Within a range, the first word, the second and the place of a pair fit 64 bits: of one word, with 32 for each of the
    other two, they always do.
    """
    totals = np.cumsum(counts)
    first, before = 0, 0
    while first < len(counts):
        stop = max(first + 1, int(np.searchsorted(totals, before + _PIECE, side="right")))
        while stop - first > 1 and _bits(stop - first) + second_bits + _bits(int(totals[stop - 1]) - before) > _BITS:
            stop = first + (stop - first) // 2
        yield range(first, stop)
        first, before = stop, int(totals[stop - 1])


def _packed(texts: InternedWords, firsts: range, second_bits: int) -> tuple[Counts, npt.NDArray[np.uint64]]:
    """Where the pairs begin whose first words are these; and each as one number, above its place among them."""
    places = np.concatenate([np.zeros(0, np.int64), *_places(texts, firsts)])
    packed = np.subtract(texts.numbers[places], firsts.start, dtype=np.uint64)
    packed <<= np.uint64(second_bits)
    places += 1
    packed |= texts.numbers[places]
    places -= 1
    packed <<= np.uint64(_bits(len(places)))
    packed |= np.arange(len(places), dtype=np.uint64)
    return places, packed


def _places(texts: InternedWords, firsts: range) -> Iterator[Counts]:
    """Yields where pairs begin whose first words are these, some at a time."""
    for start in range(0, len(texts.numbers), BLOCK):
        # What is below the first of them wraps round to a large number.
        inside = texts.numbers[start : start + BLOCK] - np.uint32(firsts.start) < np.uint32(len(firsts))
        ends = np.searchsorted(texts.starts, [start + 1, start + len(inside) + 1])
        inside[texts.starts[ends[0] : ends[1]] - (start + 1)] = False
        yield np.flatnonzero(inside) + start


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens, each a word or a pair.

    Attributes:
        count: (n,) int64, how often each occurs.
        first: (n,) int64, the number of the word or of the pair's first one; -1 for no token at all.
        second: (n,) int64, the number of the pair's second word; -1 for a word alone.
    """

    count: Counts
    first: Counts
    second: Counts


def rarest_tokens(texts: InternedWords, pairs: Numbers, rarest: Counts) -> Tokens:
    """The rarest token of each of n texts, of equally rare ones the last in the order of tokens.

    Args:
        texts: Of n texts.
        pairs: As `pair_counts` finds them.
        rarest: (n,) int64, the rarest word of each text, as `rarest_words` finds them.
    """
    count = np.append(texts.counts, 0)[rarest]
    first, second = rarest.copy(), np.full(len(rarest), -1, np.int64)
    for some, inside in texts.blocks():
        begins, worded = begins_of(texts.starts, some)
        if not len(begins):
            continue
        held, own = pairs[inside], texts.numbers[inside].astype(np.uint64)
        least = np.minimum.reduceat(held, begins)
        least_here = np.repeat(least, np.diff(begins, append=len(own)))
        own[:-1] = own[:-1] << np.uint64(32) | own[1:]
        own[held != least_here] = 0
        pair = np.maximum.reduceat(own, begins)
        pair_first = (pair >> np.uint64(32)).astype(np.int64)
        # Of a word and a pair that are equally rare, the pair comes later if its first word is not before the word.
        alone = count[some][worded]
        taken = (least < alone) | ((least == alone) & (pair_first >= first[some][worded]))
        at = np.flatnonzero(worded)[taken] + some.start
        count[at], first[at] = least[taken], pair_first[taken]
        second[at] = (pair[taken] & np.uint64(NONE)).astype(np.int64)
    return Tokens(count, first, second)


@dataclass(frozen=True, slots=True)
class LastToken:
    """The last of the most frequent tokens. Of equally frequent ones, those before it belong to them as well.

    Attributes:
        count: How often it occurs.
        first: The number of the word, or of the pair's first one.
        second: The number of the pair's second word; -1 for a word alone.
    """

    count: int
    first: int
    second: int

    def is_before(self, tokens: Tokens) -> npt.NDArray[np.bool_]:
        """(n,) bool: which tokens are not among the most frequent."""
        behind = (tokens.first > self.first) | ((tokens.first == self.first) & (tokens.second > self.second))
        rarer = (tokens.count < self.count) | ((tokens.count == self.count) & behind)
        return np.asarray(rarer & (tokens.first >= 0))


def last_of_most_frequent(texts: InternedWords, pairs: Numbers, most: int) -> LastToken | None:
    """The last of so many most frequent tokens; None if there are no more than that.

    Args:
        texts: All texts.
        pairs: As `pair_counts` finds them.
        most: From 1.
    """
    counts, different = _tokens_by_count(texts, pairs)
    # How many occur so often or more.
    frequent = np.cumsum(different[::-1])[::-1]
    if not len(counts) or frequent[0] <= most:
        return None
    at = int(np.flatnonzero(frequent >= most)[-1])
    count = int(counts[at])
    left = most - int(frequent[at] - different[at])
    by_first = np.cumsum(_tokens_by_first(texts, pairs, count))
    first = int(np.searchsorted(by_first, left))
    left -= int(by_first[first - 1]) if first else 0
    if texts.counts[first] == count:
        left -= 1
    if not left:
        return LastToken(count, first, -1)
    seconds = [texts.numbers[places[pairs[places] == count] + 1] for places in _places(texts, range(first, first + 1))]
    return LastToken(count, first, int(np.unique(np.concatenate(seconds))[left - 1]))


def _tokens_by_count(texts: InternedWords, pairs: Numbers) -> tuple[Counts, Counts]:
    """The counts that there are, ascending, and how many different tokens have each: (c,) int64 both."""
    met = np.zeros(1, np.int64)
    for start in range(0, len(pairs), _PIECE):
        held = pairs[start : start + _PIECE]
        some = np.bincount(held[held != NONE], minlength=1)
        if len(some) > len(met):
            met, some = some, met
        met[: len(some)] += some
    of_pairs = np.flatnonzero(met)
    of_words, words = np.unique(texts.counts, return_counts=True)
    counts, place = np.unique(np.concatenate([of_pairs, of_words]), return_inverse=True)
    different = np.zeros(len(counts), np.int64)
    # A pair that occurs so often is met as often.
    np.add.at(different, place, np.concatenate([met[of_pairs] // of_pairs, words]))
    return counts, different


def _tokens_by_first(texts: InternedWords, pairs: Numbers, count: int) -> Counts:
    """(w,) int64: how many different tokens that occur so often begin with each word."""
    met = np.zeros(len(texts.words), np.int64)
    for start in range(0, len(pairs), _PIECE):
        inside = slice(start, start + _PIECE)
        met += np.bincount(texts.numbers[inside][pairs[inside] == count], minlength=len(met))
    return np.asarray(met // count + (texts.counts == count))
