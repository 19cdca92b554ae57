import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from curation.similarity.hex_numbers import digits_of, numbered, numbers_or_texts

LOWER = frozenset("0123456789abcdef")
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


def _by_a_loop(texts: list[str | None], digits: int) -> list[int | None]:
    numbers: list[int | None] = []
    for text in texts:
        if text is None or len(text) != digits or not LOWER.issuperset(text):
            numbers.append(None)
            continue
        number = 0
        for start in range(0, digits, 32):
            number ^= int(text[start : start + 32], 16)
        numbers.append(number)
    return numbers


def _numbers(texts: pl.Series, digits: int) -> list[int | None]:
    frame = pl.LazyFrame({"text": texts}).select(numbered(pl.col("text"), digits))
    assert frame.collect_schema() == {"text": pl.UInt128}
    found = frame.collect()
    assert frame.collect(engine="streaming").equals(found)
    return found.to_series().to_list()


def _plain(count: int, digits: int) -> list[str]:
    draws = np.random.default_rng(count)
    return [draws.bytes(digits // 2).hex() for _ in range(count)]


ODD = {
    "upper case": lambda digits: "A" * digits,
    "one letter in upper case": lambda digits: "0" * (digits - 1) + "F",
    "one digit too few": lambda digits: "1" * (digits - 1),
    "one digit too many": lambda digits: "1" * (digits + 1),
    "letters behind f": lambda digits: "f" * (digits - 1) + "g",
    "a space": lambda digits: "1" * (digits - 2) + " 1",
    "a line's end": lambda digits: "1" * (digits - 1) + "\n",
    "a line's end behind": lambda digits: "1" * digits + "\n",
    "a letter of two bytes": lambda digits: "1" * (digits - 2) + "é",
    "so many letters of two bytes": lambda digits: "é" * digits,
    "a full-width digit": lambda digits: "1" * (digits - 3) + "１",
    "a prefix": lambda digits: "0x" + "1" * (digits - 2),
    "a sign": lambda digits: "-" + "1" * (digits - 1),
    "a mark between digits": lambda digits: "1_" * (digits // 2),
    "what stands behind the digits in ASCII": lambda digits: ":" * digits,
    "what stands before a in ASCII": lambda digits: "`" * digits,
    "zeros for bytes": lambda digits: "\0" * digits,
    "empty": lambda digits: "",
    "null": lambda digits: None,
}


@pytest.mark.parametrize("digits", [32, 64, 96])
@pytest.mark.parametrize("odd", ODD)
def test_numbers_are_those_of_a_plain_loop_when_a_text_is_odd(odd: str, digits: int):
    plain = _plain(5, digits)
    for place in (0, 2, 5):
        texts = [*plain[:place], ODD[odd](digits), *plain[place:]]
        expected = _by_a_loop(texts, digits)
        assert expected.count(None) == 1
        assert _numbers(pl.Series(texts, dtype=pl.String), digits) == expected


@pytest.mark.parametrize("digits", [32, 64])
def test_numbers_are_those_of_a_plain_loop_when_nearly_all_texts_are_odd(digits: int):
    texts = [*(make(digits) for make in ODD.values()), *_plain(1, digits), None, None]
    assert _numbers(pl.Series(texts, dtype=pl.String), digits) == _by_a_loop(texts, digits)


@pytest.mark.parametrize("texts", [[], [None], [None, None], [""], ["x"]])
def test_there_is_no_number_when_there_is_no_text_of_digits(texts: list[str | None]):
    assert _numbers(pl.Series(texts, dtype=pl.String), 32) == [None] * len(texts)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_numbers_are_those_of_a_plain_loop_when_texts_are_slices_in_chunks(kind: pa.DataType):
    texts = [None, *_plain(20, 64), None, "odd", *_plain(3, 64), "A" * 64]
    whole = pa.array(texts, kind)
    for pieces in ([(1, 7), (4, 0), (9, 12)], [(1, 20)], [(2, 3), (21, 6)]):
        chunks = pa.chunked_array([whole.slice(start, count) for start, count in pieces], kind)
        given = pl.Series("text", chunks)
        assert _numbers(given, 64) == _by_a_loop(chunks.to_pylist(), 64)
        assert _numbers(given[2:], 64) == _by_a_loop(chunks.to_pylist()[2:], 64)


def test_numbers_keep_the_name_and_the_rows_of_their_column():
    frame = pl.LazyFrame({"key": KEYS, "row": range(4)}).filter(pl.col("row") != 1)
    held = numbers_or_texts(frame, {"key": 32}, {"row": pl.col("row")})
    assert held.rows() == [(10, 0), (2**127, 2), (2**64 + 2, 3)]


def test_columns_are_numbers_when_all_that_is_odd_is_null():
    frame = pl.LazyFrame({"key": KEYS, "image": [None, "1" * 64, None, None]})
    held = numbers_or_texts(frame, {"key": 32, "image": 64}, {})
    assert held.schema == {"key": pl.UInt128, "image": pl.UInt128}
    assert held["image"].to_list() == [None, 0, None, None]
