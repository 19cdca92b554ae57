from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curation.engine.grouping import decide_on_groups
from curation.errors import CurationError
from curation.runtime.ray_data import RayRunner
from curation.runtime.ray_partitions import RayPartitions
from curation.storage.store import Store
from stages.catalogue import CATALOGUE


@pytest.fixture
def runner(ray_address: str) -> RayRunner:
    return RayRunner()


def test_verdicts_are_those_of_one_process_when_partitions_are_tasks(runner: RayRunner, tmp_path: Path) -> None:
    step = CATALOGUE.exchanges["deduplicate"]
    exchange = step(step.Config(perceptual=None, prefer=()))
    rows = 2000
    frame = pl.LazyFrame({"row": range(rows)}, {"row": pl.Int64}).with_columns(
        key=pl.col("row").hash(1).cast(pl.String), sha256=(pl.col("row") * 7 % 1500).cast(pl.String)
    )
    found = decide_on_groups(exchange, frame, runner.partitions(3, Store(str(tmp_path)))).collect().sort("row")
    expected = exchange.decide(frame).collect().sort("row")
    assert found.equals(expected.select(found.columns))
    assert found["reason"].null_count() == 1500
    assert list(tmp_path.iterdir()) == []


def test_task_is_refused_memory_when_it_asks_for_more_than_its_limit(runner: RayRunner, tmp_path: Path) -> None:
    def too_much(_: pl.DataFrame) -> pl.DataFrame:
        return pl.DataFrame({"sum": [np.ones(200 << 20).sum()]})

    frame = pl.LazyFrame({"hash": [1]}, {"hash": pl.UInt64})
    with pytest.raises(CurationError, match=r"more than the 1024 MiB .* run\.partition_rows smaller"):
        list(RayPartitions(2, Store(str(tmp_path))).apply(frame, "hash", too_much))


def test_cause_is_told_when_a_task_fails(runner: RayRunner, tmp_path: Path) -> None:
    def fails(_: pl.DataFrame) -> pl.DataFrame:
        raise ValueError("no such thing")

    frame = pl.LazyFrame({"hash": [1]}, {"hash": pl.UInt64})
    with pytest.raises(CurationError, match="a partition of the rows cannot be worked on: no such thing"):
        list(RayPartitions(2, Store(str(tmp_path))).apply(frame, "hash", fails))
    assert list(tmp_path.iterdir()) == []
