from itertools import pairwise

import pytest

from curation.similarity.bands import choose_bands, flips, join_cost_ns


@pytest.mark.parametrize("count", [1, 1000, 100_000, 1_000_000, 10_000_000, 1_000_000_000])
@pytest.mark.parametrize("max_distance", [0, 1, 7, 31, 32, 47])
def test_no_near_hash_can_miss_every_band_when_bands_are_chosen(count: int, max_distance: int) -> None:
    bands = choose_bands(count, max_distance)
    # Were a hash outside the radius of every band, the sum of these differences alone would be beyond the distance.
    assert sum(band.radius + 1 for band in bands) > max_distance
    assert all(band.offset + band.bits <= after.offset for band, after in pairwise(bands))
    assert bands[-1].offset + bands[-1].bits <= 256
    assert all(band.bits <= band.window_bits <= 64 for band in bands)


def test_windows_are_chains_of_bands_when_these_follow_each_other() -> None:
    bands = choose_bands(1_000_000, 31)
    for place, band in enumerate(bands):
        chain, bits = 0, 0
        while bits < band.window_bits:
            after = bands[(place + chain) % len(bands)]
            bits += after.bits
            chain += 1
        assert bits == band.window_bits
        radii = [bands[(place + step) % len(bands)].radius for step in range(chain)]
        assert band.window_radius == sum(radii) + chain - 1


def test_bands_are_wider_when_there_are_more_hashes() -> None:
    counts = [10_000, 100_000, 1_000_000, 100_000_000]
    assert [len(choose_bands(count, 31)) for count in counts] == [16, 16, 12, 10]


def test_cost_grows_less_than_with_the_square_when_there_are_more_hashes() -> None:
    assert join_cost_ns(1_000_000, 31) < 30 * join_cost_ns(100_000, 31)


def test_flips_are_all_differences_within_the_radius_when_listed() -> None:
    assert flips(4, 0) == (0,)
    assert sorted(flips(4, 2)) == [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12]
    assert len(flips(20, 3)) == 1 + 20 + 190 + 1140
