import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import curation.similarity.near_pairs as near_pairs_module
from curation.similarity.bands import choose_bands
from curation.similarity.hashes import Hashes
from curation.similarity.near_pairs import MAX_DISTANCE, near_pairs


def _brute_force(hashes: Hashes, max_distance: int) -> list[tuple[int, int, int]]:
    signs = 2 * np.unpackbits(np.ascontiguousarray(hashes).view(np.uint8), axis=1).astype(np.int64) - 1
    distance = (256 - signs @ signs.T) // 2
    left, right = np.nonzero(np.triu(distance <= max_distance, 1))
    return [(int(i), int(j), int(distance[i, j])) for i, j in zip(left, right, strict=True)]


def _found(hashes: Hashes, max_distance: int) -> list[tuple[int, int, int]]:
    pairs = near_pairs(hashes, max_distance)
    return list(zip(pairs.left.tolist(), pairs.right.tolist(), pairs.distance.tolist(), strict=True))


def _flipped(hash_: Hashes, bits: np.ndarray) -> Hashes:
    flips = np.zeros(256, np.uint8)
    flips[bits] = 1
    return hash_ ^ np.packbits(flips).view(np.uint32)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    centres=st.integers(0, 12),
    copies=st.integers(0, 12),
    spread=st.integers(0, 60),
    max_distance=st.integers(0, MAX_DISTANCE),
)
def test_pairs_equal_brute_force_when_copies_surround_centres(
    seed: int, centres: int, copies: int, spread: int, max_distance: int
) -> None:
    generator = np.random.default_rng(seed)
    made = []
    for _ in range(centres):
        centre = generator.integers(0, 2**32, 8, dtype=np.uint32)
        made += [centre, *(_flipped(centre, generator.choice(256, spread, replace=False)) for _ in range(copies))]
    hashes = np.array(made, np.uint32).reshape(-1, 8)
    hashes = hashes[generator.permutation(len(hashes))]
    assert _found(hashes, max_distance) == _brute_force(hashes, max_distance)


@pytest.mark.parametrize("max_distance", [0, 7, 8, 15, 16, 31, 32, 47])
def test_pair_at_the_bound_is_found_when_its_bits_are_spread_as_badly_as_can_be(max_distance: int) -> None:
    # One bit after the other into the band that has the fewest: no band is nearer than it must be.
    for distance, expected in ((max_distance, [(0, 1, max_distance)]), (max_distance + 1, [])):
        bits = np.array([16 * (bit % 16) + bit // 16 for bit in range(distance)], np.int64)
        first = np.arange(8, dtype=np.uint32) * np.uint32(0x9E3779B1)
        assert _found(np.stack([first, _flipped(first, bits)]), max_distance) == expected


def test_equal_hashes_are_pairs_when_they_fill_one_bucket() -> None:
    hashes = np.full((40, 8), 7, np.uint32)
    assert len(near_pairs(hashes, 31).left) == 40 * 39 // 2


def test_planted_pairs_are_found_when_among_many_random_hashes() -> None:
    generator = np.random.default_rng(5)
    hashes = generator.integers(0, 2**32, (20_000, 8), dtype=np.uint32)
    for at in range(200):
        hashes[10_000 + at] = _flipped(hashes[at], generator.choice(256, int(generator.integers(0, 32)), replace=False))
    found = _found(hashes, 31)
    assert [(left, right) for left, right, _ in found] == [(at, 10_000 + at) for at in range(200)]


def test_no_pairs_are_found_when_there_are_no_hashes() -> None:
    assert _found(np.zeros((0, 8), np.uint32), 31) == []
    assert _found(np.zeros((1, 8), np.uint32), 31) == []


@pytest.mark.parametrize("known", [0, 1, 60, 119, 120])
def test_new_pairs_and_known_ones_are_all_when_hashes_are_added(known: int) -> None:
    generator = np.random.default_rng(9)
    centres = generator.integers(0, 2**32, (10, 8), dtype=np.uint32)
    hashes = np.stack([_flipped(centres[at % 10], generator.choice(256, at % 20, replace=False)) for at in range(120)])
    before = _found(hashes[:known], 31)
    added = near_pairs(hashes, 31, known)
    found = list(zip(added.left.tolist(), added.right.tolist(), added.distance.tolist(), strict=True))
    assert all(right >= known for _, right, _ in found)
    assert sorted(before + found) == _found(hashes, 31)


@pytest.mark.parametrize("count", [10_000, 300_000, 1_000_000, 20_000_000, 1_000_000_000])
@pytest.mark.parametrize("known", [0, 70])
def test_pairs_are_the_same_when_bands_are_those_for_another_number(
    count: int, known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_pairs_module, "choose_bands", lambda _, distance: choose_bands(count, distance))
    generator = np.random.default_rng(count)
    centres = generator.integers(0, 2**32, (8, 8), dtype=np.uint32)
    hashes = np.stack([_flipped(centres[at % 8], generator.choice(256, at % 24, replace=False)) for at in range(96)])
    found = near_pairs(hashes, 31, known)
    assert list(zip(found.left.tolist(), found.right.tolist(), found.distance.tolist(), strict=True)) == [
        pair for pair in _brute_force(hashes, 31) if pair[1] >= known
    ]


def test_pairs_do_not_hang_on_it_when_threads_are_more_or_fewer() -> None:
    hashes = np.random.default_rng(2).integers(0, 2**16, (300, 8), dtype=np.uint32)
    one, three = near_pairs(hashes, 47, threads=1), near_pairs(hashes, 47, threads=3)
    assert [getattr(one, name).tolist() for name in ("left", "right", "distance")] == [
        getattr(three, name).tolist() for name in ("left", "right", "distance")
    ]


@pytest.mark.parametrize("max_distance", [-1, MAX_DISTANCE + 1])
def test_distance_is_refused_when_out_of_range(max_distance: int) -> None:
    with pytest.raises(ValueError, match=f"from 0 to {MAX_DISTANCE}"):
        near_pairs(np.zeros((2, 8), np.uint32), max_distance)
