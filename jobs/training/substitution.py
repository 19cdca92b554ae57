"""Makes almost right texts out of right ones, knowing nothing but the texts of a batch."""

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

_WORD = re.compile(r"\w+|[^\w\s]")
_EDGE = ""


def substitute_words(texts: Sequence[str], draw: np.random.Generator) -> list[str | None]:
    """Returns each text with one word replaced by what another text says in the same place.

    The same place is between the same two words, so "a red star on" becomes "a red ring on", and
    seldom nonsense. A text is None where no other text has such a place. Now and then the result
    is still true; a contrastive loss bears that.

    Args:
        texts: of a batch.
        draw: decides what is replaced by what.

    Source: after Yuksekgonul et al. 2023 (arXiv:2210.01936), section 4, whose negatives exchange
    words within a text, found by their part of speech.
    """
    words = [_WORD.findall(text.lower()) for text in texts]
    seen: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for sentence in words:
        for left, word, right in _triples(sentence):
            seen[left, right][word] = None
    return [_substituted(sentence, seen, draw) for sentence in words]


def _substituted(
    sentence: list[str], seen: dict[tuple[str, str], dict[str, None]], draw: np.random.Generator
) -> str | None:
    places = [(at, left, right) for at, (left, _, right) in enumerate(_triples(sentence)) if len(seen[left, right]) > 1]
    if not places:
        return None
    at, left, right = places[int(draw.integers(len(places)))]
    others = [word for word in seen[left, right] if word != sentence[at]]
    changed = [*sentence[:at], others[int(draw.integers(len(others)))], *sentence[at + 1 :]]
    return " ".join(changed)


def _triples(sentence: list[str]) -> list[tuple[str, str, str]]:
    """Returns every word between its neighbours."""
    return list(zip([_EDGE, *sentence], sentence, [*sentence[1:], _EDGE], strict=False))
