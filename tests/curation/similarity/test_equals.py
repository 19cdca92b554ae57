import os

import numpy as np
import polars as pl
import pytest

from curation.similarity import equals
from curation.similarity.equals import first_of_equals, hashed, rows_that_share


def _first(values: list[object]) -> list[int]:
    return [values.index(value) if value is not None else place for place, value in enumerate(values)]


@pytest.mark.parametrize("seed", range(3))
def test_first_place_is_found_when_values_repeat(seed: int) -> None:
    draws = np.random.default_rng(seed).integers(0, 60, 100).tolist()
    values = [None if draw < 5 else f"value {draw}" for draw in draws]
    assert first_of_equals(pl.Series(values, dtype=pl.String)).tolist() == _first(values)


def test_values_are_told_apart_when_their_hashes_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    placed = equals._placed_hashes

    def all_alike(values: pl.Series) -> tuple[np.ndarray, np.uint64]:
        hashes, bits = placed(values)
        return np.sort(hashes & ((np.uint64(1) << bits) - np.uint64(1))), bits

    monkeypatch.setattr(equals, "_placed_hashes", all_alike)
    values = ["a", "b", "a", None, "c", "b", "a"]
    assert first_of_equals(pl.Series(values)).tolist() == [0, 1, 0, 3, 4, 1, 0]


@pytest.mark.parametrize("values", [[], [None], ["a"], [None, None], ["a", "a"]])
def test_first_place_is_found_when_there_are_hardly_any_values(values: list[str | None]) -> None:
    assert first_of_equals(pl.Series(values, dtype=pl.String)).tolist() == _first(list(values))


def test_rows_share_a_value_when_it_stands_twice() -> None:
    # Of 8 values the lowest 3 bits give way to places: 16 and 17 are told apart by their rest alone.
    frame = pl.DataFrame(
        {"row": range(10, 18), "value": [16, 17, 5, 5, None, 17 << 40, None, 5]}, {"row": pl.Int64, "value": pl.UInt64}
    )
    assert sorted(rows_that_share(frame)["row"]) == [12, 13, 17]
    assert rows_that_share(frame.head(0))["row"].to_list() == []


def test_hash_is_null_when_the_value_is() -> None:
    found = pl.DataFrame({"value": ["a", None, "a", "b"]}).select(hashed(pl.col("value"))).to_series()
    assert found[1] is None
    assert found[0] == found[2] != found[3]


def test_places_are_the_same_when_hashes_are_placed_sorted_and_compared_by_several_threads(monkeypatch):
    values = pl.Series(np.random.default_rng(0).integers(0, 300, 1000).astype(str).tolist()).replace("7", None)
    alone = first_of_equals(values)
    monkeypatch.setattr(equals, "_LEAST_PIECE", 100)
    monkeypatch.setattr(equals, "_CACHED", 70)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(5))
    assert first_of_equals(values).tolist() == alone.tolist()
    texts = values.to_list()
    assert alone.tolist() == [place if text is None else texts.index(text) for place, text in enumerate(texts)]


@pytest.mark.parametrize("different", [4, 60])
@pytest.mark.parametrize("kind", [pl.String, pl.UInt64, pl.UInt128])
def test_first_place_is_found_when_values_come_in_chunks_and_are_compared_in_pieces(
    monkeypatch: pytest.MonkeyPatch, kind: type[pl.DataType], different: int
) -> None:
    # Of few different values, runs are longer than pieces.
    monkeypatch.setattr(equals, "_CACHED", 7)
    draws = np.random.default_rng(5).integers(0, different, 200).tolist()
    values = [None if draw < different // 20 else draw for draw in draws]
    chunks = [pl.Series("value", values[start : start + 9]).cast(kind) for start in range(0, 200, 9)]
    whole = pl.concat(chunks, rechunk=False)
    assert whole.n_chunks() > 1
    assert first_of_equals(whole).tolist() == _first(values)


def test_rows_share_a_value_when_they_come_in_chunks() -> None:
    draws = np.random.default_rng(6).integers(0, 150, 200).tolist()
    chunks = [
        pl.DataFrame({"row": range(start, start + 10), "value": draws[start : start + 10]}).cast({"value": pl.UInt64})
        for start in range(0, 200, 10)
    ]
    shared = rows_that_share(pl.concat(chunks, rechunk=False))["row"].to_list()
    assert sorted(shared) == [row for row, value in enumerate(draws) if draws.count(value) > 1]
