import numpy as np
import polars as pl
import pytest

from curation.balancing.capped import within_caps
from curation.key_draws import mixed, purpose_seed


def test_each_entry_draws_by_itself_when_it_has_too_many_rows(tmp_path):
    bits = [mixed(number) for number in range(60)]
    named = [[0] if row < 30 else [0, 1] if row < 50 else [2] for row in range(60)]
    entries = pl.Series("entries", named, dtype=pl.List(pl.UInt32))
    frame = pl.DataFrame({"row": range(60), "key": [f"{row:02d}" for row in range(60)]}).with_columns(
        entries, bits=pl.Series(bits, dtype=pl.UInt64)
    )
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    frame[:37].write_parquet(files[0])
    frame[37:].write_parquet(files[1])
    kept = within_caps(files, pl.Series(["dog", "cat", "owl"]), np.array([50, 20, 10]), np.array([8, 5, 10]), seed=9)
    expected = set(range(50, 60))
    for entry, rows, cap in (("dog", range(50), 8), ("cat", range(30, 50), 5)):
        expected |= set(sorted(rows, key=lambda row: mixed(bits[row] ^ purpose_seed(entry, 9)))[:cap])
    assert set(kept) == expected
    assert len(kept) == len(expected)


@pytest.mark.parametrize("cap", [1, 7])
def test_keys_settle_it_when_rows_have_the_same_bits(tmp_path, cap):
    keys = [f"{row * 37 % 50:02d}" for row in range(50)]
    frame = pl.DataFrame({"row": range(50), "key": keys, "bits": pl.Series([5] * 50, dtype=pl.UInt64)})
    frame.with_columns(entries=pl.Series([[0]] * 50, dtype=pl.List(pl.UInt32))).write_parquet(tmp_path / "a.parquet")
    kept = within_caps([tmp_path / "a.parquet"], pl.Series(["dog"]), np.array([50]), np.array([cap]), seed=0)
    assert set(kept) == set(sorted(range(50), key=lambda row: keys[row])[:cap])
