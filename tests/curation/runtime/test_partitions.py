import os
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import polars as pl
import pytest

from curation.runtime import partitions
from curation.runtime.partitions import LocalPartitions, delete_left_partitions
from curation.storage import store
from curation.storage.store import Store


def _sums(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.group_by("hash").agg(pl.col("row").sum(), rows=pl.len())


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_rows_of_one_hash_are_together_when_partitioned(count: int, tmp_path: Path) -> None:
    frame = pl.LazyFrame(
        {"row": range(100), "hash": [row % 13 for row in range(100)]}, {"row": pl.Int64, "hash": pl.UInt64}
    )
    made = list(LocalPartitions(count, Store(str(tmp_path))).apply(frame, "hash", _sums))
    assert len(made) == min(count, 13)
    assert pl.concat(made).sort("hash").equals(_sums(frame.collect()).sort("hash"))
    assert list(tmp_path.iterdir()) == []


def _fails(frame: pl.DataFrame) -> pl.DataFrame:
    raise ValueError(f"no function for {frame.height} rows")


def test_nothing_is_left_behind_when_the_function_fails(tmp_path: Path) -> None:
    frame = pl.LazyFrame({"hash": [1, 2, 3]}, {"hash": pl.UInt64})
    with pytest.raises(ValueError, match="no function for 1 rows"):
        list(LocalPartitions(5, Store(str(tmp_path))).apply(frame, "hash", _fails))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [1, 3])
def test_nothing_fails_when_there_are_no_rows(count: int, tmp_path: Path) -> None:
    frame = pl.LazyFrame(schema={"row": pl.Int64, "hash": pl.UInt64})
    made = list(LocalPartitions(count, Store(str(tmp_path))).apply(frame, "hash", _sums))
    assert sum(piece.height for piece in made) == 0
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_behind_when_the_rows_cannot_be_read(tmp_path: Path) -> None:
    def fails_late(rows: pl.Series) -> pl.Series:
        if rows.max() >= 900_000:
            raise ValueError("unreadable")
        return rows

    frame = pl.LazyFrame({"hash": pl.arange(1_000_000, dtype=pl.UInt64, eager=True)})
    frame = frame.with_columns(pl.col("hash").map_batches(fails_late, return_dtype=pl.UInt64, is_elementwise=True))
    with pytest.raises(ValueError, match="unreadable"):
        list(LocalPartitions(3, Store(str(tmp_path))).apply(frame, "hash", _sums))
    assert list(tmp_path.iterdir()) == []


def test_partitions_of_a_killed_driver_are_deleted_when_they_are_a_day_old(tmp_path: Path) -> None:
    workspace = Store(str(tmp_path))
    for folder in ("partitions-left", "partitions-used", "others"):
        workspace.write_bytes(f"{folder}/00000.parquet", b"")
    workspace.write_bytes("partitions-used/00001.parquet", b"")
    yesterday = time.time() - timedelta(days=1, minutes=1).total_seconds()
    for file in ("partitions-left/00000.parquet", "partitions-used/00000.parquet", "others/00000.parquet"):
        os.utime(tmp_path / file, (yesterday, yesterday))
    assert delete_left_partitions(workspace) == 1
    assert workspace.list("") == ["others", "partitions-used"]
    assert delete_left_partitions(Store(str(tmp_path / "none"))) == 0


def test_young_partitions_stay_when_the_clock_of_this_machine_is_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(days=10)

    for module in (partitions, store):
        monkeypatch.setattr(module, "datetime", Ahead, raising=False)
    workspace = Store(str(tmp_path))
    workspace.write_bytes("partitions-used/00000.parquet", b"")
    assert delete_left_partitions(workspace) == 0
    assert workspace.list("") == ["partitions-used"]
