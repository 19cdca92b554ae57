from itertools import combinations
from random import Random

import polars as pl

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
    pieces = shingles_of(texts, 2)
    assert [array.tolist() for array in (pieces.hashes, pieces.numbers, pieces.starts)] == [
        array.tolist() for array in (whole.hashes, whole.numbers, whole.starts)
    ]
    assert (whole.sizes > 1).any()
    assert len(set(whole.numbers.tolist())) == len(set(whole.hashes.tolist())) == whole.numbers.max() + 1
