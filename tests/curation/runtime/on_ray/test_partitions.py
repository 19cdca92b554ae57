from pathlib import Path

import numpy as np
import polars as pl
import pytest
import ray

from curation.engine.grouping import decide_on_groups
from curation.errors import CurationError
from curation.runtime.on_ray.partitions import RayPartitions
from curation.runtime.on_ray.runner import RayRunner
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


def test_verdicts_are_the_same_when_workers_and_partitions_are_others(runner: RayRunner, tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    rows, pictures = 600, draws.integers(0, 2**32, (40, 8), dtype=np.uint32)
    near = pictures[draws.integers(0, 40, rows)]
    near[:, 0] ^= np.uint32(1) << draws.integers(0, 32, rows).astype(np.uint32)
    frame = pl.DataFrame(
        {
            "row": np.arange(rows),
            "key": [f"{draw:032x}" for draw in draws.integers(0, 2**62, rows)],
            "sha256": [f"{draw:064x}" for draw in draws.integers(0, 400, rows)],
            "pdq": [value.tobytes().hex() for value in near],
            "pdq_quality": np.full(rows, 100, np.int16),
        }
    )

    @ray.remote(num_cpus=1)
    class Holder:
        def there(self) -> bool:
            return True

    step = CATALOGUE.exchanges["deduplicate"]
    exchange = step(step.Config(prefer=()))
    expected = exchange.decide(frame.lazy()).collect().sort("row")
    assert expected["reason"].null_count() == 40
    assert set(expected["reason"].drop_nulls()) == {"exact", "perceptual"}
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1).lazy()
    workers = int(ray.cluster_resources()["CPU"])
    for count, held in ((3, 0), (2, workers - 1)):
        # Who holds a processor leaves the tasks one worker fewer.
        holders = [Holder.remote() for _ in range(held)]
        ray.get([holder.there.remote() for holder in holders])
        found = decide_on_groups(exchange, shuffled, runner.partitions(count, Store(str(tmp_path)))).collect()
        assert found.sort("row").select(expected.columns).equals(expected)
        for holder in holders:
            ray.kill(holder)


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
