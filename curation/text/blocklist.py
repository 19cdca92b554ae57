"""Lists of words and phrases, and where they occur in texts."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from curation.errors import RecipeError
from curation.text.line_list import lines_of, read_file
from curation.text.useless import fold
from curation.text.words import UNSPACED


def read_entries(paths: Sequence[str]) -> list[str]:
    """The entries of all files: one word or phrase a line; empty lines and lines that begin with `#` are none.

    Args:
        paths: Any fsspec paths, of text in UTF-8.

    Returns:
        Entries as texts are compared (`folded`), each once, sorted.

    Raises:
        RecipeError: A file cannot be read, is not UTF-8, or has no entry.
    """
    entries: set[str] = set()
    for path in paths:
        lines = lines_of(read_file(path), path)
        given = pl.Series("entry", [line.text for line in lines], pl.String).to_frame()
        folded = given.select(_folded(pl.col("entry"))).to_series()
        without = (folded == "  ").arg_true()
        if len(without):
            line = lines[without[0]]
            raise RecipeError(
                f"{path}:{line.number}: {line.text!r} has neither a letter nor a digit, so nothing could match it"
            )
        if folded.is_empty():
            raise RecipeError(f"{path}: the blocklist has no entry; one word or phrase a line")
        entries.update(folded.to_list())
    return sorted(entries)


def found_entries(texts: pl.Series, entries: Sequence[str]) -> pl.Series:
    """The entries that occur in each text as whole words, in any case and whatever stands between the words.

    Args:
        texts: (n,) String.
        entries: As `read_entries` returns them.

    Returns:
        (n,) List(String), in the order in which they end in the text; null for null.
    """
    found = _folded(pl.col("text")).str.extract_many(list(entries), overlapping=True)
    return pl.DataFrame({"text": texts}).select(found.list.eval(pl.element().str.strip_chars())).to_series()


def _folded(text: pl.Expr) -> pl.Expr:
    """Texts with a space around every word, and every character of a script that has none between words."""
    spaced = fold(text).str.replace_all(rf"([{UNSPACED}])", " $1 ").str.replace_all(" +", " ").str.strip_chars()
    return pl.format(" {} ", spaced)
