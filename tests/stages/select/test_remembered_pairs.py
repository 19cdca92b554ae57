"""Decisions that remember near pairs are those that compare everything."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from curation.engine.grouping import decide_on_groups
from curation.engine.remembered import Remembered
from curation.runtime.partitions import LocalPartitions
from curation.similarity import known_pairs
from curation.storage.store import Store
from stages.select import remembered_pairs
from stages.select.deduplicate import Deduplicate, DeduplicateConfig
from stages.select.remembered_pairs import memory_name

_TYPES = {"row": pl.Int64, "original_width": pl.Int32, "original_height": pl.Int32, "pdq_quality": pl.Int16}


@pytest.fixture(autouse=True)
def few_are_worth_keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered_pairs, "WORTH_KEEPING", 0)


@pytest.fixture
def memory(tmp_path: Path) -> Remembered:
    return Remembered(Store(str(tmp_path / "remembered")))


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many hashes were looked up among all, each time."""
    counts: list[int] = []
    near_pairs = known_pairs.near_pairs

    def counting(hashes: Any, max_distance: int, known: int = 0) -> Any:
        counts.append(len(hashes) - known)
        return near_pairs(hashes, max_distance, known)

    monkeypatch.setattr(known_pairs, "near_pairs", counting)
    return counts


def _rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Pictures of which many are near-copies of one of a few, or have the hash of another."""
    draws = random.Random(seed)
    centres = [draws.getrandbits(256) for _ in range(30)]
    rows = []
    for row in range(count):
        value = draws.choice(centres) ^ sum(1 << bit for bit in draws.sample(range(256), draws.choice([0, 4, 12, 20])))
        rows.append(
            {
                "row": row,
                "key": f"{draws.getrandbits(128):032x}",
                "sha256": f"{draws.choice([row, draws.randrange(count)]):064x}",
                "pdq": f"{value:064x}" if row % 11 else None,
                "pdq_inner": f"{value ^ draws.getrandbits(8) << 90:064x}" if row % 4 else None,
                "pdq_quality": draws.choice([100, 100, 60]),
                "original_width": draws.choice([100, 200, 300]),
                "original_height": 100,
            }
        )
    return rows


def _decided(rows: list[dict[str, Any]], settings: dict[str, Any], memory: Remembered | None, partitions: Any = None):
    exchange = Deduplicate(DeduplicateConfig.model_validate(settings, strict=False))
    if memory is not None:
        exchange.remember_in(memory)
    frame = pl.LazyFrame(rows, schema_overrides=_TYPES).select("row", "key", *exchange.spec.requires)
    decided = exchange.decide(frame) if partitions is None else decide_on_groups(exchange, frame, partitions)
    return decided.collect().sort("row")


def test_only_new_hashes_are_compared_when_rows_are_added(memory: Remembered, compared: list[int]) -> None:
    rows = _rows(300, seed=1)
    for row in rows:
        row["pdq"] = f"{random.Random(row['row']).getrandbits(256):064x}"
    settings = {"exact": False, "perceptual": {}}
    _decided(rows[:290], settings, memory)
    grown = _decided(rows, settings, memory)
    _decided(rows[50:200], settings, memory)
    assert compared == [290, 10]
    assert grown.equals(_decided(rows, settings, None))


def test_pairs_are_compared_again_when_what_was_kept_is_damaged(
    memory: Remembered, compared: list[int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = _rows(200, seed=2)
    first = _decided(rows, {}, memory)
    (data,) = (tmp_path / "remembered").rglob("*.npz")
    data.write_bytes(data.read_bytes().replace(b"\1", b"\2"))
    assert _decided(rows, {}, memory).equals(first)
    assert compared[0] == compared[1]
    assert "found out again" in caplog.text


def test_variants_of_their_own_are_kept_when_the_settings_name_others(memory: Remembered) -> None:
    rows = _rows(100, seed=3)
    for settings in ({}, {"perceptual": {"variants": ("pdq_inner",)}}):
        assert _decided(rows, settings, memory).equals(_decided(rows, settings, None))
    assert memory.recall(memory_name(()))["variants"].shape == (0, 8)
    assert len(memory.recall(memory_name(("pdq_inner",)))["variants"])


@pytest.mark.parametrize("seed", range(5))
def test_verdicts_are_those_of_comparing_all_when_rows_and_settings_change_at_random(
    memory: Remembered, seed: int, tmp_path: Path
) -> None:
    draws = random.Random(seed)
    pool = _rows(400, seed)
    alive = set(range(60))
    for _ in range(7):
        alive |= {draws.randrange(400) for _ in range(draws.choice([0, 5, 80]))}
        alive -= {draws.randrange(400) for _ in range(draws.choice([0, 5, 150]))}
        rows = [pool[row] for row in alive]
        draws.shuffle(rows)
        settings = {
            "exact": draws.choice([True, False]),
            "perceptual": {
                "max_distance": draws.choice([8, 20, 31, 31, 36]),
                "variants": draws.choice([(), ("pdq_inner",)]),
                "max_group": draws.choice([1, 5, 1000]),
                "min_quality": draws.choice([50, 70]),
            },
            "prefer": draws.choice([("largest",), ("first",), ()]),
        }
        partitions = draws.choice([None, LocalPartitions(3, Store(str(tmp_path)))])
        expected = _decided(rows, settings, None)
        assert expected["reason"].null_count() < len(rows)
        assert _decided(rows, settings, memory, partitions).equals(expected)


def test_hashes_of_rows_that_came_and_went_are_not_kept_for_ever_when_others_come(memory: Remembered) -> None:
    rows = _rows(400, seed=9)
    for row in rows:
        row["pdq"] = f"{random.Random(row['row']).getrandbits(256):064x}"
    for start in range(0, 400, 50):
        _decided(rows[start : start + 50], {}, memory)
    assert len(np.asarray(memory.recall(memory_name(()))["whole"])) <= 100
