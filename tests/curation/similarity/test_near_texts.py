from itertools import combinations
from random import Random

import polars as pl

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
    shingles = shingles_of(pl.Series(["a b a b a", "a b", "a", "a b c"]), 2)
    # {ab, ba}, {ab}, {a}, {ab, bc}
    assert shingles.sizes.tolist() == [2, 1, 1, 2]
    left, right = pl.Series([0, 0, 0, 1], dtype=pl.Int32).to_numpy(), pl.Series([1, 2, 3, 3], dtype=pl.Int32).to_numpy()
    assert jaccard(shingles, left, right).tolist() == [0.5, 0.0, pl.Series([1 / 3], dtype=pl.Float32)[0], 0.5]
