import polars as pl
import pytest

from curation.text.ngrams import char_repetition, word_ngram_repetition


@pytest.mark.parametrize(
    ("text", "length", "share"),
    [
        # abc 3 times, bca and cab twice each: of 3 distinct ones the root is 1, so 3 of 7.
        ("abcabcabc", 3, 3 / 7),
        ("abcdef", 3, 0.0),
        # One distinct one, twice.
        ("aaaa", 3, 1.0),
        # abcd, bcda, cdab, dabc, abcd: 4 distinct ones, 1 of them repeated, twice of 5.
        ("abcdabcd", 4, 2 / 5),
        ("ab", 3, 0.0),
        ("", 3, 0.0),
        (None, 3, 0.0),
        ("ääää", 3, 1.0),
    ],
)
def test_share_is_that_of_the_most_repeated_when_characters_are_counted(text, length, share):
    assert char_repetition(pl.Series([text], dtype=pl.String), length).tolist() == pytest.approx([share])


@pytest.mark.parametrize(
    ("words", "length", "share"),
    [
        ("a b a b", 2, 2 / 3),  # "a b" twice, "b a" once
        ("a b c d", 2, 0.0),
        ("a a a", 1, 1.0),
        ("a", 2, 0.0),
    ],
)
def test_share_is_of_all_repeated_ones_when_words_are_counted(words, length, share):
    assert word_ngram_repetition(pl.Series([words.split()]), length).tolist() == pytest.approx([share])


def test_texts_are_apart_when_they_stand_side_by_side():
    texts = pl.Series(["abcde", "abcde", None, "", "aaaaaaa", "abcde"])

    assert char_repetition(texts, 3).tolist() == [0, 0, 0, 0, 1, 0]
    words = pl.Series([["a", "b"], ["a", "b"], None, [], ["x", "x"]])
    assert word_ngram_repetition(words, 1).tolist() == [0, 0, 0, 0, 1]


def test_nothing_comes_out_when_there_is_no_text():
    assert char_repetition(pl.Series([], dtype=pl.String), 10).shape == (0,)
    assert word_ngram_repetition(pl.Series([], dtype=pl.List(pl.String)), 5).shape == (0,)
