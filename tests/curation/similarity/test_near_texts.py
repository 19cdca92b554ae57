from itertools import combinations
from random import Random

import numpy as np
import polars as pl
import pytest

from curation.similarity import shingles
from curation.similarity.near_texts import near_texts
from curation.similarity.shingles import jaccard, shingles_of


def variants(count, seed):
    """Texts of which many are others with some words changed."""
    random = Random(seed)
    words = [f"w{number}" for number in range(300)]
    texts = [random.choices(words, k=random.randint(1, 16)) for _ in range(count // 3)]
    while len(texts) < count:
        changed = list(random.choice(texts))
        for _ in range(random.randint(1, 3)):
            changed[random.randrange(len(changed))] = random.choice(words)
        texts.append(changed)
    return sorted({" ".join(text) for text in texts})


def by_hand(text, length):
    words = text.split()
    return {tuple(words[start : start + length]) for start in range(max(1, len(words) - length + 1))}


def test_every_pair_of_brute_force_is_found_when_texts_are_compared_in_bands():
    texts = variants(600, 1)
    sets = [by_hand(text, 2) for text in texts]
    wanted = {
        (left, right): len(sets[left] & sets[right]) / len(sets[left] | sets[right])
        for left, right in combinations(range(len(texts)), 2)
        if len(sets[left] & sets[right]) >= 0.7 * len(sets[left] | sets[right])
    }
    found = near_texts(shingles_of(pl.Series(texts), 2), 0.7, 128, 32, seed=0)
    pairs = list(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert len(wanted) > 50
    assert pairs == sorted(wanted)
    assert all(abs(value - wanted[pair]) < 1e-6 for pair, value in zip(pairs, found.similarity.tolist(), strict=True))


def test_similarity_is_the_share_of_shingles_when_words_repeat_or_are_few():
    found = shingles_of(pl.Series(["a b a b a", "a b", "a", "a b c"]), 2)
    # {ab, ba}, {ab}, {a}, {ab, bc}
    assert found.sizes.tolist() == [2, 1, 1, 2]
    left, right = pl.Series([0, 0, 0, 1], dtype=pl.Int32).to_numpy(), pl.Series([1, 2, 3, 3], dtype=pl.Int32).to_numpy()
    assert jaccard(found, left, right).tolist() == [0.5, 0.0, pl.Series([1 / 3], dtype=pl.Float32)[0], 0.5]


def _hash_by_a_loop(words):
    """What the hash of a shingle is, worked out word by word and byte by byte."""
    most, factor, mix = 2**64, int(shingles._FACTOR), int(shingles._MIX)
    combined = 0
    for place, word in enumerate(words):
        total = sum(int(shingles._LETTERS[byte]) * factor ** (at + 1) for at, byte in enumerate(word.encode())) % most
        hashed = (total ^ total >> 32) * mix % most
        combined = ((combined ^ combined >> 29) * factor + hashed) % most if place else hashed
    return ((combined ^ combined >> 32) * mix % most) >> 16


@pytest.mark.parametrize("length", [1, 2, 3, 30])
def test_shingles_are_those_of_a_plain_loop_when_words_are_long_few_or_not_in_latin(length):
    texts = ["a", "é 東 京", "a b a b a", "boat", *variants(30, 3), "longest" * 40 + " a b c d e f", "a b"]
    found = shingles_of(pl.Series(texts), length)
    expected = [sorted(map(_hash_by_a_loop, by_hand(text, length))) for text in texts]
    assert found.sizes.tolist() == [len(hashes) for hashes in expected]
    assert found.hashes.tolist() == [each for hashes in expected for each in hashes]
    some = np.array([3, 0, 3, len(texts) - 1], np.int32)
    assert found.sizes_of(some).tolist() == [len(expected[place]) for place in some]


def test_texts_are_counted_when_more_than_a_hundred_share_a_band():
    # Of one word each but for the last: 103 texts that share their only shingle's band pairwise, and one apart.
    one = shingles_of(pl.Series(["a b"] * 103 + ["c d"]), 2)
    found = near_texts(one, 0.8, 4, 2, seed=0)
    # The first two have 102 and 101 behind them.
    assert found.crowded == 2
    # 103 of them make 5,253 pairs, of which those 101 and 102 places apart are left out: 2 + 1.
    assert len(found.left) == 5253 - 3
    assert near_texts(shingles_of(pl.Series(["a b"] * 101), 2), 0.8, 4, 2, seed=0).crowded == 0


def test_sets_are_the_same_when_texts_are_worked_on_some_at_a_time(monkeypatch):
    texts = pl.Series(variants(300, 2))
    whole = shingles_of(texts, 2)
    monkeypatch.setattr(shingles, "_TEXTS", 7)
    monkeypatch.setattr(shingles, "_BLOCK", 11)
    monkeypatch.setattr(shingles, "_BYTES", 90)
    pieces = shingles_of(texts, 2)
    assert pieces.hashes.tolist() == whole.hashes.tolist()
    assert pieces.starts.tolist() == whole.starts.tolist()
    assert (whole.sizes > 1).any()
    left, right = (side.astype(np.int32) for side in np.triu_indices(40, 1))
    similarity = jaccard(pieces, left, right)
    monkeypatch.undo()
    assert similarity.tolist() == jaccard(whole, left, right).tolist()
    assert (similarity > 0).any()


@pytest.mark.parametrize("length", [1, 2, 3])
def test_shingles_have_equal_hashes_when_their_words_are_equal_and_no_others(length):
    texts = [
        *variants(300, 3),
        "tar rat art",
        "rat tar art",
        "art",
        "a b",
        "ab",
        "ba",
        "é ê e",
        "汉 字 汉",
        "x" * 5000,
        "x" * 5001,
        "abcdefgh" * 30,
        "bacdefgh" * 30,
    ]
    sets = [by_hand(text, length) for text in texts]
    for given in (
        pl.Series(texts),
        pl.concat([pl.Series(texts[:9]), pl.Series(["odd", *texts[9:]])[1:]], rechunk=False),
    ):
        found = shingles_of(given, length)
        assert found.sizes.tolist() == [len(own) for own in sets]
        hashes = np.split(found.hashes, found.starts[1:-1])
        assert all((np.diff(own.astype(np.int64)) > 0).all() for own in hashes)
        everyone = {shingle for own in sets for shingle in own}
        assert len(everyone) == len(set(found.hashes.tolist()))
        # Each shingle's hash is in just those sets that have it.
        holders = {
            shingle: frozenset(place for place, own in enumerate(sets) if shingle in own) for shingle in everyone
        }
        of_hash = {}
        for place, own in enumerate(hashes):
            for value in own.tolist():
                of_hash.setdefault(value, set()).add(place)
        assert sorted(map(sorted, holders.values())) == sorted(map(sorted, of_hash.values()))


def test_there_are_no_shingles_when_there_are_no_texts():
    found = shingles_of(pl.Series([], dtype=pl.String), 2)
    assert (found.hashes.tolist(), found.starts.tolist()) == ([], [0])
