"""Makes almost right texts out of right ones, knowing nothing but the texts of a batch."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"\w+|[^\w\s]")
_EDGE = ""


@dataclass(frozen=True)
class _Places:
    """Where a sentence's words can be replaced, by what, and how likely each place is chosen."""

    sentence: list[str]
    at: list[int]
    others: list[list[str]]
    shares: NDArray[np.float64]


def substitute_words(texts: Sequence[str], each: int, draw: np.random.Generator) -> list[list[str]]:
    """Returns variants of each text with one word replaced by what another text says in its place.

    The same place is between the same two words, so "a red star on" becomes "a red ring on", and
    seldom nonsense. Rare words are replaced more often than those that stand in every text. Now
    and then a variant is still true; a contrastive loss bears that.

    Args:
        texts: of a batch.
        each: variants of each text. A text has none where no other text has such a place.
        draw: decides what is replaced by what.

    Source: after Yuksekgonul et al. 2023 (arXiv:2210.01936), section 4, whose negatives exchange
    words within a text, found by their part of speech.
    """
    sentences = [_WORD.findall(text.lower()) for text in texts]
    said: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for sentence in sentences:
        for left, word, right in _triples(sentence):
            said[left, right][word] = None
    frequency = Counter(word for sentence in sentences for word in set(sentence))
    rarity = {word: math.log((1 + len(texts)) / count) for word, count in frequency.items()}
    return [_variants(_places(sentence, said, rarity), each, draw) for sentence in sentences]


def _places(sentence: list[str], said: dict[tuple[str, str], dict[str, None]], rarity: dict[str, float]) -> _Places:
    found = [
        (at, [other for other in said[left, right] if other != word], rarity[word])
        for at, (left, word, right) in enumerate(_triples(sentence))
        if len(said[left, right]) > 1
    ]
    weights = np.array([weight for *_, weight in found])
    return _Places(
        sentence,
        [at for at, *_ in found],
        [others for _, others, _ in found],
        weights / weights.sum() if len(found) else weights,
    )


def _variants(places: _Places, each: int, draw: np.random.Generator) -> list[str]:
    if not places.at:
        return []
    made = []
    for chosen in draw.choice(len(places.at), each, p=places.shares):
        at, others = places.at[chosen], places.others[chosen]
        other = others[int(draw.integers(len(others)))]
        made.append(" ".join([*places.sentence[:at], other, *places.sentence[at + 1 :]]))
    return made


def _triples(sentence: list[str]) -> list[tuple[str, str, str]]:
    """Returns every word between its neighbours."""
    return list(zip([_EDGE, *sentence], sentence, [*sentence[1:], _EDGE], strict=False))
