import polars as pl
import pytest

from curation.text.grammar import grammar
from curation.text.lexicon import load_lexicon


@pytest.mark.parametrize(
    ("text", "nouns", "determiners"),
    [
        ("the red boat on every lake", 2, 2),
        ("this is a very quickly zorbing gribble", 1, 2),  # zorbing and gribble are in no lexicon
        ("my his their", 0, 0),
        ("falling and getting back on", 0, 0),
        ("building in the morning", 2, 1),
        ("12 34", 0, 0),
        ("", 0, 0),
    ],
)
def test_words_are_counted_by_kind_when_looked_up(text, nouns, determiners):
    counts = grammar(pl.Series([text.split()], dtype=pl.List(pl.String)), load_lexicon())

    assert counts.row(0) == (nouns, determiners)


def test_each_text_has_its_counts_when_some_are_empty():
    words = pl.Series([["the", "boat"], None, [], ["boat"]], dtype=pl.List(pl.String))

    assert grammar(words, load_lexicon()).rows() == [(1, 1), (0, 0), (0, 0), (1, 0)]
