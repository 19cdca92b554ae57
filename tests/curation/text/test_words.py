import polars as pl
import pytest

from curation.text.words import repetition, special_share, words


def _of(text: str, expression: pl.Expr) -> object:
    return pl.DataFrame({"text": [text]}).select(expression).item()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A red T-shirt, size 3.5!", ["a", "red", "t-shirt", "size", "3.5"]),
        ("it's the dogs' house & more", ["it's", "the", "dogs", "house", "more"]),
        ("蓝色 square", ["蓝", "色", "square"]),
        ("나무 의자", ["나무", "의자"]),
        ("... - | &", []),
        ("", []),
    ],
)
def test_words_are_runs_of_letters_when_text_is_split(text: str, expected: list[str]) -> None:
    assert pl.Series([text]).to_frame("text").select(words(pl.col("text"))).to_series().to_list() == [expected]


@pytest.mark.parametrize(
    ("text", "share"),
    [("a red a blue", 0.25), ("Top top TOP", 2 / 3), ("one two three", 0.0), ("", 0.0), ("!!", 0.0)],
)
def test_repetition_is_the_share_of_words_said_before_when_counted(text: str, share: float) -> None:
    assert _of(text, repetition(words(pl.col("text")))) == pytest.approx(share)


@pytest.mark.parametrize(("text", "share"), [("ab!!", 0.5), ("a b", 0.0), ("#!", 1.0), ("", 0.0), ("é字1", 0.0)])
def test_special_share_counts_what_is_no_letter_digit_or_space_when_measured(text: str, share: float) -> None:
    assert _of(text, special_share(pl.col("text"))) == pytest.approx(share)
