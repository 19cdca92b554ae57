"""Counts nouns and determiners, word by word, without looking at the sentence.

A tagger would look at the neighbours of a word. For the question whether a caption has a noun and a determiner at all
that is
hardly needed: determiners are a closed class, and nearly every caption has a noun.
"""

from __future__ import annotations

import polars as pl

from curation.text.lexicon import Lexicon

_NO_NOUN_ENDINGS = r"(?:ly|ed|ing)$"
"""Of words that the lexicon does not have: adverbs, participles. All others of them count as nouns, as taggers have
it."""


def grammar(words: pl.Series, lexicon: Lexicon) -> pl.DataFrame:
    """Counts the nouns and the determiners of each text.

    Args:
        words: (n,) List(String), lower case, as `curation.text.words` makes them.

    Returns:
        (n,) `nouns` and `determiners`, Int32; 0 for null.
    """
    flat = pl.DataFrame({"row": pl.int_range(len(words), dtype=pl.Int64, eager=True), "word": words})
    flat = flat.explode("word", empty_as_null=False, keep_nulls=False)
    # Every distinct word is looked up once.
    distinct = flat.select(pl.col("word").unique().sort()).with_columns(
        lettered=pl.col("word").str.contains(r"\p{L}"), participle=pl.col("word").str.contains(_NO_NOUN_ENDINGS)
    )
    noun = [
        lettered and word not in lexicon.no_nouns and not (participle and word not in lexicon.common)
        for word, lettered, participle in distinct.iter_rows()
    ]
    determiner = [word in lexicon.determiners for word in distinct["word"].to_list()]
    kinds = {"noun": noun, "determiner": determiner}
    looked_up = distinct.select("word", *(pl.Series(name, flags, dtype=pl.Boolean) for name, flags in kinds.items()))
    counted = flat.join(looked_up, on="word").group_by("row")
    counts = counted.agg(pl.col("noun", "determiner").sum().cast(pl.Int32))
    every = pl.DataFrame({"row": pl.int_range(len(words), dtype=pl.Int64, eager=True)})
    return every.join(counts, on="row", how="left", maintain_order="left").select(
        nouns=pl.col("noun").fill_null(0), determiners=pl.col("determiner").fill_null(0)
    )
