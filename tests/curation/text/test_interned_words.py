from collections import Counter

import numpy as np
import polars as pl
import pytest

from curation.text import interned_words as module
from curation.text.interned_words import begins_of, interned_words, rarest_words

TEXTS = ["the red Boat", None, "", "red, RED: a", "!?", "東京 a", "a"]


def _interned(texts: list[str | None]) -> tuple[pl.Series, module.InternedWords]:
    rows = pl.Series(range(10, 10 + len(texts)), dtype=pl.Int64)
    return interned_words(pl.LazyFrame({"row": rows, "text": pl.Series(texts, dtype=pl.String)}))


def test_words_are_numbered_in_the_order_of_their_bytes() -> None:
    rows, texts = _interned(TEXTS)
    assert rows.to_list() == [10, 11, 12, 13, 14, 15, 16]
    assert texts.words.to_list() == ["a", "boat", "red", "the", "京", "東"]
    assert texts.counts.tolist() == [3, 1, 3, 1, 1, 1]
    assert texts.numbers.tolist() == [3, 2, 1, 2, 2, 0, 5, 4, 0, 0]
    assert texts.starts.tolist() == [0, 3, 3, 3, 6, 6, 9, 10]


def test_rarest_word_is_the_last_of_those_that_are_equally_rare() -> None:
    # "the" and "boat" once each; "a" and "red" three times each.
    assert rarest_words(_interned(TEXTS)[1]).tolist() == [3, -1, -1, 2, -1, 5, 0]


@pytest.mark.parametrize("texts", [[], [None], [""], [None, "!", ""]])
def test_there_is_no_rarest_word_when_there_are_no_words(texts: list[str | None]) -> None:
    _, interned = _interned(texts)
    assert len(interned.words) == len(interned.numbers) == 0
    assert rarest_words(interned).tolist() == [-1] * len(texts)


@pytest.mark.parametrize("block", [1, 3, 7, 1000])
def test_words_come_back_when_texts_are_looked_at_in_blocks(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    draws = np.random.default_rng(block)
    spoken = [[f"w{draw}" for draw in draws.integers(0, 20, draws.integers(0, 6))] for _ in range(100)]
    _, texts = _interned([" ".join(words) for words in spoken])
    words = texts.words.gather(pl.Series(texts.numbers)).to_list()
    assert [words[texts.starts[text] : texts.starts[text + 1]] for text in range(100)] == spoken
    counts = Counter(words)
    assert texts.counts.tolist() == [counts[word] for word in texts.words]
    blocks = list(texts.blocks())
    assert [text for some, _ in blocks for text in range(some.start, some.stop)] == list(range(100))
    assert [place for _, inside in blocks for place in range(inside.start, inside.stop)] == list(range(len(words)))
    assert all(inside.stop - inside.start <= block or some.stop - some.start == 1 for some, inside in blocks)
    expected = [max(own, key=lambda word: (-counts[word], word), default=None) for own in spoken]
    rarest = [texts.words[number] if number >= 0 else None for number in rarest_words(texts).tolist()]
    assert rarest == expected


def test_beginnings_are_those_of_texts_with_words() -> None:
    begins, worded = begins_of(np.array([0, 3, 3, 5, 9, 9]), slice(1, 5))
    assert begins.tolist() == [0, 2]
    assert worded.tolist() == [False, True, True, False]
