import polars as pl

from curation.key_draws import key_draws
from stages.deliver.placing import mixed


def test_draws_are_splitmix_of_key_and_seed_when_drawn():
    keys = pl.Series(["0123456789abcdef" + "0" * 16, "f" * 32])
    wanted = [mixed(0x0123456789ABCDEF ^ mixed(3)), mixed((2**64 - 1) ^ mixed(3))]
    assert key_draws(keys, 3).tolist() == wanted
