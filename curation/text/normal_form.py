"""Texts without what does not make them different: case and punctuation."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from curation.errors import RecipeError
from curation.text.words import words
from schemas.columns import COLUMNS


def check_texts(column: str) -> None:
    """Whether a column, if it is a registered one, holds texts.

    Raises:
        RecipeError: It does not.
    """
    if column in COLUMNS and COLUMNS[column].type != pa.string():
        raise RecipeError(f"column {column} holds no texts ({COLUMNS[column].meaning}); name text or caption")


def check_text_type(frame: pl.LazyFrame, column: str) -> None:
    """Whether a column, such as one that the source carries along, holds texts.

    Raises:
        RecipeError: It does not.
    """
    dtype = frame.select(column).collect_schema()[column]
    if dtype not in (pl.String, pl.Null):
        raise RecipeError(f"column {column} is of type {dtype}, not text; name a column of texts")


def normal_form(text: pl.Expr) -> pl.Expr:
    """The words of each text in lower case, a space between; of a text without words, the text itself.

    Two texts of one normal form say the same. Null stays null.
    """
    joined = words(text).list.join(" ")
    return pl.when(joined == "").then(text.str.strip_chars()).otherwise(joined)
