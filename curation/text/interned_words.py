"""The words of many texts as numbers, so that they are counted without being held or compared as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from curation.storage.column_scan import collect_columns
from curation.text.words import words

BLOCK = 1 << 20
"""Words that are looked at at a time, if they are of more than one text."""

Numbers = npt.NDArray[np.uint32]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class InternedWords:
    """The words of n texts, m in all, of which w are different.

    Attributes:
        words: (w,) String, the different words in the order of their UTF-8 bytes. A word's place is its number.
        counts: (w,) int64, how often each occurs.
        numbers: (m,) uint32, the words of one text behind those of the other.
        starts: (n + 1,) int64, where the words of each text begin.
    """

    words: pl.Series
    counts: Counts
    numbers: Numbers
    starts: Counts

    def blocks(self) -> Iterator[tuple[slice, slice]]:
        """Yields some texts at a time, and the places of their words."""
        start, texts = 0, len(self.starts) - 1
        while start < texts:
            within = int(np.searchsorted(self.starts, self.starts[start] + BLOCK, side="right")) - 1
            stop = max(start + 1, min(within, texts))
            yield slice(start, stop), slice(int(self.starts[start]), int(self.starts[stop]))
            start = stop


def interned_words(frame: pl.LazyFrame) -> tuple[pl.Series, InternedWords]:
    """Reads texts once; from then on, four bytes are held for each word and one copy of each different word.

    Args:
        frame: `row` and `text` (String); a text that is null has no words.

    Returns:
        The column `row`, and the words of the texts in the same order.
    """
    # Numbers are given in the order in which words are met, by several threads: they are put in order below.
    met = pl.Categories.random()
    numbered = words(pl.col("text")).cast(pl.List(pl.Categorical(met)))
    read = collect_columns(frame.select("row", numbered=numbered))
    listed = read.drop_in_place("numbered")
    starts = np.zeros(len(listed) + 1, np.int64)
    np.cumsum(listed.list.len().fill_null(0).to_numpy(), out=starts[1:])
    spelled = met.to_series().cast(pl.String)
    order = spelled.arg_sort()
    places = np.empty(len(order), np.uint32)
    places[order.to_numpy()] = np.arange(len(order), dtype=np.uint32)
    numbers = np.empty(starts[-1], np.uint32)
    counts = np.zeros(len(order), np.int64)
    chunks = listed.get_chunks()[::-1]
    del listed
    done = 0
    while chunks:
        # Each chunk is let go once its numbers are taken over.
        for piece in _of_chunk(chunks.pop()):
            own = numbers[done : done + len(piece)]
            own[:] = places[piece]
            counts += np.bincount(own, minlength=len(counts))
            done += len(piece)
    return read["row"], InternedWords(spelled.gather(order), counts, numbers, starts)


def _of_chunk(chunk: pl.Series) -> Iterator[Numbers]:
    """Yields the numbers of a chunk of lists, some at a time."""
    numbers = chunk.explode(empty_as_null=False, keep_nulls=False).to_physical().to_numpy()
    yield from (numbers[start : start + BLOCK] for start in range(0, len(numbers), BLOCK))


def rarest_words(texts: InternedWords) -> Counts:
    """(n,) int64: the number of each text's rarest word, of equally rare ones the last; -1 without words."""
    by_rarity = np.argsort(-texts.counts, kind="stable")
    rarity = np.empty(len(by_rarity), np.uint32)
    rarity[by_rarity] = np.arange(len(by_rarity), dtype=np.uint32)
    rarest = np.full(len(texts.starts) - 1, -1, np.int64)
    for some, inside in texts.blocks():
        begins, worded = begins_of(texts.starts, some)
        if len(begins):
            largest = np.maximum.reduceat(rarity[texts.numbers[inside]], begins)
            rarest[some][worded] = by_rarity[largest]
    return rarest


def begins_of(starts: Counts, some: slice) -> tuple[Counts, npt.NDArray[np.bool_]]:
    """Of some texts, where the words of each that has any begin, the first one at 0; and which have any."""
    own = starts[some.start : some.stop + 1]
    worded = own[1:] > own[:-1]
    return own[:-1][worded] - own[0], worded
