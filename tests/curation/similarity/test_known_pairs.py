"""Pairs that are partly known are those that comparing everything finds."""

import numpy as np
import pytest

from curation.similarity.hashes import Hashes
from curation.similarity.known_pairs import KnownPairs, extended, pairs_of_pictures
from curation.similarity.variants import Variant, near_pairs_of_variants


def _hashes(*counts: int) -> Hashes:
    """Hashes with so many bits set, the lowest first, so that the distance of two is the difference of their counts."""
    return np.packbits(np.arange(256) < np.array(counts, int).reshape(-1, 1), axis=1).view(np.uint32)


NONE = _hashes()


def _near(known: KnownPairs) -> set[tuple[int, int, int]]:
    """The bits of each two near hashes, and their distance."""
    bits = np.bitwise_count(known.whole).sum(axis=1)
    pairs = zip(bits[known.near.left], bits[known.near.right], known.near.distance, strict=True)
    return {(min(one, other), max(one, other), int(distance)) for one, other, distance in pairs}


def _told(pairs) -> list[tuple[int, int, int]]:
    return list(zip(pairs.left.tolist(), pairs.right.tolist(), pairs.distance.tolist(), strict=True))


def test_new_hashes_are_compared_with_all_when_some_are_known() -> None:
    known = extended(None, _hashes(0, 20, 100), NONE, 31)
    assert _near(known) == {(0, 20, 20)}
    more = extended(known, _hashes(0, 20, 100, 45, 110), NONE, 31)
    assert _near(more) == {(0, 20, 20), (20, 45, 25), (100, 110, 10)}


def test_nothing_is_compared_when_all_are_known_and_the_bound_is_no_larger() -> None:
    known = extended(None, _hashes(0, 20, 100), NONE, 31)
    assert extended(known, _hashes(100, 0), NONE, 20) is known
    assert _told(pairs_of_pictures(known, _hashes(100, 20, 0), (), 31)) == [(1, 2, 20)]
    assert _told(pairs_of_pictures(known, _hashes(100, 20, 0), (), 19)) == []


def test_everything_is_compared_anew_when_the_bound_is_larger_than_what_is_known() -> None:
    known = extended(None, _hashes(0, 20, 45), NONE, 20)
    assert _near(known) == {(0, 20, 20)}
    assert _near(extended(known, _hashes(0, 20, 45), NONE, 31)) == {(0, 20, 20), (20, 45, 25)}


def test_hashes_that_are_not_asked_for_are_forgotten_when_they_are_more_than_those_that_are() -> None:
    known = extended(None, _hashes(0, 10, 100, 110), NONE, 31)
    some = extended(known, _hashes(0, 10, 20), NONE, 31)
    assert len(some.whole) == 5
    few = extended(known, _hashes(0, 20), NONE, 31)
    assert (len(few.whole), _near(few)) == (2, {(0, 20, 20)})


def test_nothing_is_told_when_two_pictures_have_one_hash() -> None:
    known = extended(None, _hashes(5, 5, 9), NONE, 31)
    assert pairs_of_pictures(known, _hashes(5, 5, 9), (), 31) is None


def test_pairs_come_back_when_they_were_written_as_arrays() -> None:
    known = extended(None, _hashes(0, 20), _hashes(45), 31)
    again = KnownPairs.from_arrays(known.to_arrays())
    assert again.max_distance == 31
    assert _near(again) == {(0, 20, 20)}
    assert _told(again.lent) == [(0, 1, 25)]


@pytest.mark.parametrize("seed", range(6))
def test_pairs_are_those_of_comparing_all_when_pictures_come_and_go(seed: int) -> None:
    draws = np.random.default_rng(seed)
    # 40 centres, and pictures scattered around them, so that there are many pairs at all distances.
    centres = draws.random((40, 256)) < 0.5
    scattered = centres[draws.integers(0, 40, 700)] ^ (draws.random((700, 256)) < draws.uniform(0, 0.08, (700, 1)))
    pool = np.unique(np.packbits(scattered, axis=1).view(np.uint32), axis=0)
    mirrored = np.packbits(np.unpackbits(pool.view(np.uint8), axis=1) ^ (draws.random((len(pool), 256)) < 0.04), axis=1)
    mirrors = mirrored.view(np.uint32)
    # Some pictures share the hash of their variant.
    mirrors[::7] = mirrors[0]
    known = None
    for _ in range(8):
        chosen = draws.permutation(len(pool))[: draws.integers(1, len(pool))]
        with_mirror = np.flatnonzero(draws.random(len(chosen)) < 0.7).astype(np.int32)
        variants = [Variant(with_mirror, mirrors[chosen][with_mirror])] if draws.random() < 0.8 else []
        bound = int(draws.choice([12, 20, 31, 31]))
        own = np.concatenate([mirrors[:0], *(variant.hashes for variant in variants)])
        known = extended(known, pool[chosen], own, bound)
        expected = near_pairs_of_variants(pool[chosen], variants, bound)
        found = pairs_of_pictures(known, pool[chosen], variants, bound)
        assert len(expected.left) or len(chosen) < 30
        assert _told(found) == _told(expected)
        assert (found.left.dtype, found.distance.dtype) == (expected.left.dtype, expected.distance.dtype)
