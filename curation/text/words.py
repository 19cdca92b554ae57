"""The words of a text, and how they are counted."""

from __future__ import annotations

import polars as pl

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}"
"""Scripts written without spaces between words: each of their characters counts as a word."""

_LETTER = rf"[\p{{L}}\p{{M}}\p{{N}}&&[^{UNSPACED}]]"
WORD = rf"[{UNSPACED}]|{_LETTER}+(?:['’.\-]{_LETTER}+)*"
"""A run of letters and digits; an apostrophe, a dot or a hyphen inside does not end it: "T-shirt" is one."""


def words(text: pl.Expr) -> pl.Expr:
    """The words of each text in lower case, as List(String)."""
    return text.str.to_lowercase().str.extract_all(WORD)


def repetition(words: pl.Expr) -> pl.Expr:
    """The share of words that repeat an earlier one, as Float32 from 0 to below 1; 0 without words.

    Args:
        words: List(String), as `words` makes it.
    """
    count = words.list.len()
    share = (count - words.list.n_unique()) / count
    return pl.when(count == 0).then(0.0).otherwise(share).cast(pl.Float32)


def special_share(text: pl.Expr) -> pl.Expr:
    """The share of characters that are neither letters, marks and digits nor white space, as Float32; 0 without any."""
    count = text.str.len_chars()
    special = text.str.count_matches(r"[^\p{L}\p{M}\p{N}\s]")
    return pl.when(count == 0).then(0.0).otherwise(special / count).cast(pl.Float32)
