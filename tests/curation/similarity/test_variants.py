import numpy as np
import pytest

from curation.similarity.hashes import Hashes
from curation.similarity.near_pairs import near_pairs
from curation.similarity.variants import Variant, near_pairs_of_variants


def _hashes(*counts: int) -> Hashes:
    """Hashes with so many bits set, the lowest first, so that the distance of two is the difference of their counts."""
    return np.packbits(np.arange(256) < np.array(counts)[:, None], axis=1).view(np.uint32)


def _found(hashes: Hashes, variants: list[Variant], max_distance: int) -> list[tuple[int, int, int]]:
    pairs = near_pairs_of_variants(hashes, variants, max_distance)
    return list(zip(pairs.left.tolist(), pairs.right.tolist(), pairs.distance.tolist(), strict=True))


def _variant(owners: list[int], *counts: int) -> Variant:
    return Variant(np.array(owners, np.int32), _hashes(*counts))


def test_pair_is_near_when_a_variant_of_one_is_near_the_other() -> None:
    whole = _hashes(0, 60, 200)
    assert _found(whole, [], 31) == []
    assert _found(whole, [_variant([0], 35)], 31) == [(0, 1, 25)]
    assert _found(whole, [_variant([1, 2], 31, 100)], 31) == [(0, 1, 31)]
    assert _found(whole, [_variant([0], 28)], 31) == []


def test_smallest_distance_counts_when_a_pair_is_near_in_several_ways() -> None:
    whole = _hashes(0, 20)
    variants = [_variant([0, 1], 12, 9), _variant([1], 3)]
    assert _found(whole, variants, 31) == [(0, 1, 3)]


def test_variants_say_nothing_about_each_other_when_only_they_are_near() -> None:
    assert _found(_hashes(0, 100), [_variant([0, 1], 50, 51)], 31) == []


def test_picture_is_no_pair_with_itself_when_its_variant_is_near_it() -> None:
    assert _found(_hashes(0, 100), [_variant([0], 5)], 31) == []


@pytest.mark.parametrize("seed", range(3))
def test_pairs_equal_brute_force_when_variants_are_random(seed: int) -> None:
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 256, 60)
    owners = generator.choice(60, 40, replace=False).astype(np.int32)
    varied = generator.integers(0, 256, 40)
    expected = []
    for left in range(60):
        for right in range(left + 1, 60):
            distances = [abs(counts[left] - counts[right])]
            distances += [abs(varied[at] - counts[right]) for at in np.nonzero(owners == left)[0]]
            distances += [abs(varied[at] - counts[left]) for at in np.nonzero(owners == right)[0]]
            if min(distances) <= 20:
                expected.append((left, right, int(min(distances))))
    assert _found(_hashes(*counts), [Variant(owners, _hashes(*varied))], 20) == expected


def test_pairs_are_those_of_the_whole_pictures_when_there_are_no_variants() -> None:
    hashes = _hashes(0, 10, 20, 100, 110)
    plain = near_pairs(hashes, 15)
    assert _found(hashes, [], 15) == list(
        zip(plain.left.tolist(), plain.right.tolist(), plain.distance.tolist(), strict=True)
    )
    assert _found(hashes[:0], [], 15) == []
