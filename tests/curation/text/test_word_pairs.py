from collections import Counter
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from curation.text import interned_words as interning
from curation.text import word_pairs as module
from curation.text.interned_words import InternedWords, interned_words, rarest_words
from curation.text.word_pairs import (
    NONE,
    LastToken,
    Tokens,
    last_of_most_frequent,
    pair_counts,
    rarest_tokens,
)

TEXTS = ["a red boat", "a red boat", "a red gribble", "", "A BOAT!", "red"]
# a, red: 4; boat, "a red": 3; "red boat": 2; gribble, "a boat", "red gribble": 1.


def _interned(texts: list[str]) -> InternedWords:
    return interned_words(pl.LazyFrame({"row": range(len(texts)), "text": pl.Series(texts, dtype=pl.String)}))[1]


def _spelled(texts: InternedWords, first: int, second: int) -> str | None:
    if first < 0:
        return None
    return texts.words[first] + (f" {texts.words[second]}" if second >= 0 else "")


def _some_texts(seed: int) -> list[str]:
    """Texts of words of which one is the beginning of another, some of them often."""
    draws = np.random.default_rng(seed)
    words = ["a", "ab", "a.b", "a-b", "a'b", "b", "ä", "東", "z", "10", "1"]
    shares = np.arange(1, len(words) + 1) ** -1.2
    shares /= shares.sum()
    return [" ".join(draws.choice(words, draws.integers(0, 7), p=shares)) for _ in range(80)]


def _tokens(text: str) -> list[str]:
    words = text.replace("東", " 東 ").split()
    return words + [f"{one} {other}" for one, other in pairwise(words)]


def test_each_pair_is_counted_where_it_begins() -> None:
    assert pair_counts(_interned(TEXTS)).tolist() == [3, 2, NONE, 3, 2, NONE, 3, 1, NONE, 1, NONE, NONE]
    assert pair_counts(_interned([])).tolist() == []


@pytest.mark.parametrize(("piece", "bits"), [(1, 64), (5, 64), (40, 64), (40, 12), (1 << 22, 64)])
@pytest.mark.parametrize("seed", range(2))
def test_tokens_are_those_of_a_plain_loop_when_pairs_are_counted_in_pieces(
    monkeypatch: pytest.MonkeyPatch, piece: int, bits: int, seed: int
) -> None:
    for holder, name, value in ((module, "_PIECE", piece), (module, "_BITS", bits), (module, "BLOCK", piece + 2)):
        monkeypatch.setattr(holder, name, value)
    monkeypatch.setattr(interning, "BLOCK", piece + 1)
    spoken = _some_texts(seed)
    counts = Counter(token for text in spoken for token in _tokens(text))
    ranked = sorted(counts, key=lambda token: (-counts[token], token))
    texts = _interned(spoken)
    pairs = pair_counts(texts)
    found = rarest_tokens(texts, pairs, rarest_words(texts))
    rarest = [max(_tokens(text), key=ranked.index, default=None) for text in spoken]
    spelled = [_spelled(texts, *token) for token in zip(found.first.tolist(), found.second.tolist(), strict=True)]
    assert spelled == rarest
    assert [found.count[text] for text, token in enumerate(rarest) if token] == [counts[t] for t in rarest if t]
    for most in range(1, len(ranked)):
        last = last_of_most_frequent(texts, pairs, most)
        assert last is not None
        assert (_spelled(texts, last.first, last.second), last.count) == (ranked[most - 1], counts[ranked[most - 1]])
        outside = [token is not None and ranked.index(token) >= most for token in rarest]
        assert last.is_before(found).tolist() == outside
    assert last_of_most_frequent(texts, pairs, len(ranked)) is None


def test_ranges_of_first_words_are_cut_when_a_pair_and_its_place_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.array([4, 1, 1, 1, 9, 2, 2, 1, 1])
    monkeypatch.setattr(module, "_PIECE", 8)
    assert list(module._ranges(counts, 4)) == [range(4), range(4, 5), range(5, 9)]
    # 4 bits for the second word and 3 for one of 8 places leave one for the first: two words.
    monkeypatch.setattr(module, "_BITS", 8)
    assert list(module._ranges(counts, 4)) == [range(2), range(2, 4), range(4, 5), range(5, 7), range(7, 9)]


def test_nothing_is_frequent_when_there_are_no_words() -> None:
    texts = _interned(["", "!"])
    assert last_of_most_frequent(texts, pair_counts(texts), 1) is None


def test_token_is_behind_the_last_one_by_count_then_by_text() -> None:
    tokens = Tokens(
        np.array([2, 3, 3, 3, 3, 9, 0]), np.array([0, 5, 4, 4, 4, 9, -1]), np.array([-1, -1, 7, 8, -1, 9, -1])
    )
    assert LastToken(3, 4, 7).is_before(tokens).tolist() == [True, True, False, True, False, False, False]
    assert LastToken(3, 4, -1).is_before(tokens).tolist() == [True, True, True, True, False, False, False]
