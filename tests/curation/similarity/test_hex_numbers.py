import polars as pl

from curation.similarity.hex_numbers import digits_of, numbered, numbers_or_texts

KEYS = ["0" * 31 + "a", "f" * 32, "8" + "0" * 31, "00000000000000010000000000000002"]


def test_keys_come_back_and_sort_alike_when_they_are_numbers():
    frame = pl.LazyFrame({"key": [*KEYS, None]})
    held = numbers_or_texts(frame, {"key": 32}, {"row": pl.int_range(pl.len())})
    assert held.schema == {"key": pl.UInt128, "row": pl.Int64}
    assert held["key"].to_list() == [10, 2**128 - 1, 2**127, 2**64 + 2, None]
    assert digits_of(held["key"]).to_list() == [*KEYS, None]
    assert digits_of(held["key"].drop_nulls().sort()).to_list() == sorted(KEYS)


def test_halves_are_folded_when_there_are_more_digits():
    texts = pl.Series("sha", ["0" * 31 + "3" + "0" * 31 + "5", "0" * 64, "0" * 63, "A" * 64, "0" * 64 + "\n"])
    assert pl.select(numbered(pl.lit(texts), 64)).to_series().to_list() == [6, 0, None, None, None]


def test_all_columns_stay_texts_when_one_value_is_no_hexadecimal_number():
    frame = pl.LazyFrame({"key": KEYS, "image": ["1" * 64, None, "sha of 0", "1" * 64]})
    held = numbers_or_texts(frame, {"key": 32, "image": 64}, {})
    assert held["key"].to_list() == KEYS
    assert held["image"].to_list() == ["1" * 64, None, "sha of 0", "1" * 64]
    assert digits_of(held["key"]).to_list() == KEYS
