import random
from pathlib import Path

import polars as pl
import pytest

from curation.engine.events import Listeners
from curation.engine.grouping import RowSet, decide_on_groups
from curation.engine.run import Run
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from curation.runtime.in_process import InProcessRunner
from curation.runtime.partitions import LocalPartitions
from curation.storage.store import Store
from stages.catalogue import CATALOGUE

_TYPES = {"row": pl.Int64, "original_width": pl.Int32, "original_height": pl.Int32, "pdq_quality": pl.Int16}


def _rows(count: int) -> pl.LazyFrame:
    draws = random.Random(count)
    rows = []
    for row in range(count):
        bits = draws.sample(range(256), draws.choice([0, 5, 20]))
        value = (draws.choice([0, 2**256 - 1, draws.getrandbits(256)])) ^ sum(1 << bit for bit in bits)
        rows.append(
            {
                "row": row,
                "key": f"{draws.choice([row, row, row // 5]):032x}",
                "sha256": draws.choice([f"{row:064x}", f"{draws.randrange(20):064x}", None]),
                "url": f"http://a.example/{draws.choice([row, draws.randrange(9)])}.jpg",
                "text": draws.choice(["a fox", "A fox.", "a hare", None]),
                "pdq": f"{value:064x}" if row % 9 else None,
                "pdq_inner": f"{value ^ 7:064x}" if row % 4 else None,
                "pdq_quality": draws.choice([100, 100, 10]),
                "original_width": draws.choice([100, 200, None]),
                "original_height": 100,
            }
        )
    return pl.LazyFrame(rows, schema_overrides=_TYPES)


@pytest.mark.parametrize("partitions", [1, 2, 7])
@pytest.mark.parametrize(
    "settings",
    [
        {"perceptual": None},
        {"exact": False, "perceptual": None, "prefer": ("first",)},
        {"exact": ("image", "url", "pair"), "perceptual": None},
        {"exact": False, "perceptual": {}},
        {"perceptual": {"variants": ("pdq_inner",), "max_group": 3}},
    ],
)
def test_verdicts_are_those_of_all_rows_at_once_when_rows_are_partitioned(
    partitions: int, settings: dict[str, object], tmp_path: Path
) -> None:
    step = CATALOGUE.exchanges["deduplicate"]
    exchange = step(step.Config.model_validate(settings, strict=False))
    frame = _rows(150).select("row", "key", *exchange.spec.requires)
    found = decide_on_groups(exchange, frame, LocalPartitions(partitions, Store(str(tmp_path)))).collect().sort("row")
    expected = exchange.decide(frame).collect().sort("row")
    assert found.equals(expected.select(found.columns))
    assert 20 < found["reason"].null_count() < 140
    assert list(tmp_path.iterdir()) == []


def test_every_row_has_a_verdict_when_none_is_tied(tmp_path: Path) -> None:
    step = CATALOGUE.exchanges["deduplicate"]
    exchange = step(step.Config.model_validate({"exact": ("url",), "perceptual": None}, strict=False))
    frame = _rows(5).select("row", "key", *exchange.spec.requires).with_columns(key=pl.col("row").cast(pl.String))
    frame = frame.with_columns(url=pl.concat_str(pl.lit("http://a.example/"), "row"))
    for partitions in (1, 3):
        found = decide_on_groups(exchange, frame, LocalPartitions(partitions, Store(str(tmp_path)))).collect()
        assert found["reason"].null_count() == 5
        assert decide_on_groups(exchange, frame.head(0), LocalPartitions(1, Store(str(tmp_path)))).collect().height == 0


def test_rows_of_a_set_are_told_when_others_are_between_and_beyond_them() -> None:
    rows = RowSet()
    assert rows.has(pl.Series("row", [0, 5])).to_list() == [False, False]
    rows.add(pl.Series("row", [9, 3, 3], dtype=pl.Int64))
    rows.update([pl.Series("row", [], pl.Int64), pl.Series("row", [8, 70, 3])])
    assert [row for row in range(1000) if rows.has(pl.Series([row])).item()] == [3, 8, 9, 70]


_RECIPE = """
source: {kind: url_table, path: PAIRS}
steps:
  - {kind: text_rules}
  - {kind: deduplicate, exact: [url], perceptual: null, prefer: [longest_text]}
run: {part_rows: 16, partition_rows: 50}
"""


def test_ledger_is_the_same_when_a_run_partitions_its_rows(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.parquet"
    urls = [f"http://{host}.example/{row % 30}.jpg" for row in range(40) for host in ("a", "A", "b")]
    captions = [f"a fox beside {row % 50} old trees" for row in range(120)]
    pl.DataFrame({"url": urls, "caption": captions}).write_parquet(pairs)
    ledgers = []
    for rows in (50, 1000):
        overrides = [f"run.partition_rows={rows}"]
        recipe = parse_recipe(_RECIPE.replace("PAIRS", str(pairs)), "recipe.yaml", CATALOGUE, overrides)
        folder = tmp_path / f"run-{rows}"
        result = Run(recipe, make_plan(recipe), Store(str(folder)), InProcessRunner(1), Listeners()).execute()
        ledgers.append(pl.read_parquet(f"{folder}/{result.ledger}/*.parquet").sort("row"))
        assert list(folder.glob("workspace/*")) == []
    assert ledgers[0].equals(ledgers[1])
    assert ledgers[0]["reason"].drop_nulls().unique().to_list() == ["deduplicate.same_url"]
    assert ledgers[0]["reason"].null_count() == 60
