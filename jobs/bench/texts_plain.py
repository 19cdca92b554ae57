"""Plain loops over captions, as anyone would write them: what `bench-texts` compares with. Captions are ASCII."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import pairwise

_WORD = re.compile(r"[a-z0-9]+")


def words_of(text: str) -> list[str]:
    """The words of a caption in lower case."""
    return _WORD.findall(text.lower())


def shingles_of(words: list[str]) -> frozenset[tuple[str, ...]]:
    """The pairs of neighbouring words; of a single word, that word."""
    return frozenset(pairwise(words)) if len(words) > 1 else frozenset([tuple(words)])


def similarity(left: str, right: str) -> float:
    """Jaccard similarity of the pairs of neighbouring words."""
    one, other = shingles_of(words_of(left)), shingles_of(words_of(right))
    return len(one & other) / len(one | other)


def plain_groups(texts: list[str], keys: list[str], threshold: float | None) -> list[bool]:
    """Which rows go: all but the one of the smallest key of every group connected by near or equal captions.

    Every caption is compared with all that share a pair of words with it.
    """
    best = list(range(len(texts)))

    def head(row: int) -> int:
        while best[row] != row:
            best[row] = best[best[row]]
            row = best[row]
        return row

    def join(one: int, other: int) -> None:
        one, other = sorted((head(one), head(other)), key=lambda row: keys[row])
        best[other] = one

    first: dict[str, int] = {}
    sets: dict[int, frozenset[tuple[str, ...]]] = {}
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        words = words_of(text)
        said = " ".join(words)
        if said in first:
            join(first[said], row)
            continue
        first[said] = row
        if threshold is None:
            continue
        own = shingles_of(words)
        shared = Counter(other for shingle in own for other in holders[shingle])
        for other, common in shared.items():
            if common / (len(own) + len(sets[other]) - common) >= threshold:
                join(row, other)
        for shingle in own:
            holders[shingle].append(row)
        sets[row] = own
    return [head(row) != row for row in range(len(texts))]


def plain_rarest(texts: list[str], least: int | None, most: int | None) -> list[bool]:
    """Which rows go: those with a word that occurs less often, or a word or pair not among the most frequent."""
    spoken = [words_of(text) for text in texts]
    counts = Counter(word for words in spoken for word in words)
    if least is not None:
        return [any(counts[word] < least for word in words) for words in spoken]
    tokens = [words + [f"{one} {other}" for one, other in pairwise(words)] for words in spoken]
    counts = Counter(token for own in tokens for token in own)
    ranked = sorted(counts, key=lambda token: (-counts[token], token))[:most]
    frequent = set(ranked)
    return [not frequent.issuperset(own) for own in tokens]
