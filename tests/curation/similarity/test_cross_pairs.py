from itertools import product

import numpy as np

from curation.similarity.cross_pairs import cross_pairs
from curation.similarity.hashes import BITS, distances


def test_pairs_are_those_of_comparing_all_when_sets_have_near_and_equal_hashes():
    rng = np.random.default_rng(0)
    left = rng.integers(0, 2**32, (300, 8), np.uint32)
    # Copies of the left hashes, and of a few within the right set, each with some bits flipped.
    right = np.concatenate([left[:40], left[:10], rng.integers(0, 2**32, (50, 8), np.uint32)])
    for place in range(50):
        for bit in rng.choice(BITS, place, replace=False):
            right[place, bit // 32] ^= np.uint32(1 << (bit % 32))

    pairs = cross_pairs(left, right, 31)

    places = list(product(range(300), range(100)))
    apart = distances(left[[at for at, _ in places]], right[[at for _, at in places]])
    near = [(*place, int(bits)) for place, bits in zip(places, apart, strict=True) if bits <= 31]
    assert list(zip(pairs.left.tolist(), pairs.right.tolist(), pairs.distance.tolist(), strict=True)) == near
    assert (0, 0, 0) in near


def test_pairs_within_a_set_cost_nothing_when_it_is_full_of_near_copies():
    # 20,000 hashes that are all near each other: 200 million pairs, none of them across.
    left = np.zeros((20_000, 8), np.uint32)
    left[:, 0] = np.arange(20_000)
    right = np.full((3, 8), 2**32 - 1, np.uint32)

    assert len(cross_pairs(left, right, 31).left) == 0


def test_nothing_is_found_when_a_set_is_empty():
    some, none = np.ones((2, 8), np.uint32), np.zeros((0, 8), np.uint32)

    assert [len(cross_pairs(*sets, 31).left) for sets in ((some, none), (none, some), (none, none))] == [0, 0, 0]
