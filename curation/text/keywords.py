"""Tells lists of keywords, written for search engines, from descriptions."""

from __future__ import annotations

import re

import polars as pl

from curation.text.function_words import function_words_of

_SEPARATOR = r"[,;|#•·►、，]"
_SPLIT = re.compile(_SEPARATOR)
_WORD = re.compile(r"[^\W_]+(?:['’.\-][^\W_]+)*")
_MOST_WORDS = 3
"""Of a keyword: what is longer between two commas is a phrase."""
_LEAST_SHARE = 2 / 3
"""Of a list's words must be in keywords: a description may end in the names of a place, a list consists of names."""

_JOINING = function_words_of(("en", "de", "fr", "es", "it", "pt", "nl", "ru"))
"""A keyword has none of these."""


def keyword_count(text: str) -> int:
    """How many keywords a list has; 0 for what is no list.

    A keyword stands between commas, semicolons, bars, bullets or hash signs, has at most three
    words and none that joins or introduces others. A text is a list when two thirds of its words
    are in keywords.
    """
    keywords = inside = total = 0
    for segment in _SPLIT.split(text):
        words = _WORD.findall(segment.lower())
        total += len(words)
        if 0 < len(words) <= _MOST_WORDS and _JOINING.isdisjoint(words):
            keywords += 1
            inside += len(words)
    return keywords if keywords and inside >= _LEAST_SHARE * total else 0


def keyword_counts(texts: pl.Series, more_than: int) -> pl.Series:
    """The counts of a batch where they exceed a bound.

    Args:
        texts: (n,) String.
        more_than: Counts up to this one are not of interest.

    Returns:
        (n,) Int32: `keyword_count` where the text has enough separators to exceed the bound, else 0.
    """
    separators = texts.str.count_matches(_SEPARATOR).fill_null(0)
    suspects = (separators >= more_than).arg_true()
    counts = pl.zeros(len(texts), dtype=pl.Int32, eager=True)
    if suspects.is_empty():
        return counts
    return counts.scatter(suspects, [keyword_count(text) for text in texts.gather(suspects).to_list()])
