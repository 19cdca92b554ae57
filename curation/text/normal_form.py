"""Texts without what does not make them different: case and punctuation."""

from __future__ import annotations

import polars as pl

from curation.text.words import words


def normal_form(text: pl.Expr) -> pl.Expr:
    """The words of each text in lower case, a space between; of a text without words, the text itself.

    Two texts of one normal form say the same. Null stays null.
    """
    joined = words(text).list.join(" ")
    return pl.when(joined == "").then(text.str.strip_chars()).otherwise(joined)
