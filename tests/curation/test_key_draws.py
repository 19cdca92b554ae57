import polars as pl
import pytest

from curation.key_draws import key_bits, key_draw, mixed, purpose_seed, share_of_bits


def keys(count):
    return [f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}" for number in range(1, count + 1)]


def test_splitmix_gives_the_published_numbers_when_started_from_zero():
    # First outputs of the reference implementation (Vigna, splitmix64.c) with the state 0.
    assert mixed(0) == 0xE220A8397B1DCDAF
    assert mixed(0x9E3779B97F4A7C15) == 0x6E789E6AA1B965F4


@pytest.mark.parametrize("seed", [0, 1, 2**62])
def test_draws_are_spread_evenly_when_many_keys_are_drawn(seed):
    draws = [key_draw(key, seed) for key in keys(4000)]
    assert all(0 <= draw < 1 for draw in draws)
    # Four standard deviations of the mean of 4,000 uniform numbers.
    assert abs(sum(draws) / 4000 - 0.5) < 4 * (1 / 12 / 4000) ** 0.5


def test_columns_of_draws_are_those_of_single_keys_when_computed_by_polars():
    frame = pl.DataFrame({"key": keys(100)})
    shares = frame.select(share_of_bits(key_bits(2**63 + 5))).to_series().to_list()
    assert shares == [key_draw(key, 2**63 + 5) for key in keys(100)]


def test_draws_differ_when_purposes_or_seeds_do():
    seeds = {purpose_seed(purpose, seed) for purpose in ("select.a", "select.b", "1 select.a") for seed in (0, 1)}
    assert len(seeds) == 6
