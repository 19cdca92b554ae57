import numpy as np
import polars as pl
import pytest

from curation.similarity.hashes import distances, hashes_from_hex


def test_distances_count_bits_when_hashes_are_read_from_hex() -> None:
    zero, one, all_ = "0" * 64, "0" * 63 + "1", "f" * 64
    hashes = hashes_from_hex(pl.Series([zero, one, all_]))
    assert hashes.shape == (3, 8)
    assert distances(hashes, hashes[[0, 0, 0]]).tolist() == [0, 1, 256]


def test_hashes_are_empty_when_there_are_no_texts() -> None:
    hashes = hashes_from_hex(pl.Series([], dtype=pl.String))
    assert hashes.shape == (0, 8)
    assert distances(hashes, hashes).dtype == np.int16


@pytest.mark.parametrize("wrong", ["", "0" * 63, "0" * 62, "g" * 64, "0" * 66])
def test_hashes_are_refused_when_a_text_is_none(wrong: str) -> None:
    with pytest.raises(ValueError, match="is not a hash of 64"):
        hashes_from_hex(pl.Series(["0" * 64, wrong]))
