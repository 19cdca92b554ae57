import polars as pl
import pytest

from curation.text.keywords import keyword_count, keyword_counts


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("buy star, cheap star, star png, star 4k", 4),
        ("star|wallpaper|hd|free download", 4),
        ("#star #red #art", 3),
        ("a red star, a blue circle, a green ring and a heart on a gray background", 0),
        ("red star, blue circle, green ring and heart on gray background", 0),
        # Two names of one word each, eight words in the sentence before them: 2 of 10 is no list.
        ("White horse with a brown foal in France, Camargue, Provence", 0),
        # Exactly two thirds of the words are in keywords: 4 of 6.
        ("red star, blue star, on sale", 2),
        # 4 of 7.
        ("red star, blue star, on sale now", 0),
        ("four words are long, star, four words are long", 0),
        ("", 0),
        (",,,", 0),
    ],
)
def test_keyword_count_is_zero_when_text_is_no_list(text: str, count: int) -> None:
    assert keyword_count(text) == count


def test_keyword_counts_are_those_above_the_bound_when_batched() -> None:
    texts = pl.Series(["a, b2, c, d", "x1, x2, x3, x4, x5", None, "plain"], dtype=pl.String)
    assert keyword_counts(texts, 4).to_list() == [0, 5, 0, 0]
    assert keyword_counts(texts.head(0), 4).to_list() == []
