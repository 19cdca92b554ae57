"""`whatif` decides in partitions where a run does, with the same verdicts."""

import polars as pl
import pytest

from curation.engine.events import Listeners
from curation.engine.run import Run
from curation.engine.whatif import what_if
from curation.ledger.funnel import make_funnel
from curation.ledger.open_run import open_run
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from curation.runtime.in_process import InProcessRunner
from curation.runtime.partitions import LocalPartitions
from curation.storage.store import Store
from stages.catalogue import CATALOGUE

RECIPE = """
source: {kind: url_table, path: PAIRS}
steps:
  - {kind: deduplicate, name: same_pair, exact: false, perceptual: null, prefer: [first]}
  - {kind: text_rules, min_words: 3}
  - {kind: deduplicate, exact: [url], perceptual: null, prefer: [longest_text]}
run: {part_rows: 16, partition_rows: PARTITION}
"""
IN_FIVE, AT_ONCE = 30, 1000
FIRST = "deduplicate.prefer=[first]"


@pytest.fixture
def pairs(tmp_path):
    """150 rows: rows 135 on repeat rows 0 to 14; of 45 URLs each has three rows, of texts that grow longer."""
    urls = [f"http://host.example/{row % 45}.jpg" for row in range(135)]
    captions = [f"a fox beside {10 ** (row // 45)} old trees" for row in range(135)]
    path = tmp_path / "pairs.parquet"
    pl.DataFrame({"url": urls + urls[:15], "caption": captions + captions[:15]}).write_parquet(path)
    return path


@pytest.fixture
def partitions(monkeypatch):
    """How many partitions each search for tied rows went through."""
    seen, apply = [], LocalPartitions.apply

    def counted(self, frame, by, function):
        seen.append(0)
        for result in apply(self, frame, by, function):
            seen[-1] += 1
            yield result

    monkeypatch.setattr(LocalPartitions, "apply", counted)
    return seen


def recipe_for(pairs, partition_rows, *overrides):
    text = RECIPE.replace("PAIRS", str(pairs)).replace("PARTITION", str(partition_rows))
    return parse_recipe(text, "recipe.yaml", CATALOGUE, overrides)


def ledger_of(folder, recipe):
    result = Run(recipe, make_plan(recipe), Store(str(folder)), InProcessRunner(1), Listeners()).execute()
    return pl.read_parquet(f"{folder}/{result.ledger}/*.parquet").sort("row")


def asked(folder, pairs, partition_rows):
    store, record = open_run(str(folder))
    return what_if(
        store, record, recipe_for(pairs, partition_rows), recipe_for(pairs, partition_rows, FIRST), examples=150
    )


def ends(examples):
    return sorted((example.row, example.key, example.reason, example.detail) for example in examples)


def test_verdicts_are_those_of_a_run_in_partitions_when_asked_what_if(tmp_path, pairs, partitions):
    before = ledger_of(tmp_path / "run", recipe_for(pairs, IN_FIVE))
    partitions.clear()
    told = asked(tmp_path / "run", pairs, IN_FIVE)
    searches = list(partitions)
    after = ledger_of(tmp_path / "other", recipe_for(pairs, IN_FIVE, FIRST))

    # Rows by key for `same_pair`, which is taken over; by key and by URL for `deduplicate`: five partitions each.
    assert searches[-2:] == [5, 5]
    assert told.funnel == make_funnel(after.lazy(), [step.step for step in told.funnel.steps])
    was, will = (set(ledger.filter(outcome="kept")["row"]) for ledger in (before, after))
    # The longest text of a URL is its third row; the first row is what the other recipe keeps.
    assert (was, will) == (set(range(90, 135)), set(range(45)))
    lost = after.filter(pl.col("row").is_in(was - will)).select("row", "key", "reason", "detail")
    gained = before.filter(pl.col("row").is_in(will - was)).select("row", "key", "reason", "detail")
    assert ends(told.lost_examples) == sorted(lost.iter_rows())
    assert ends(told.gained_examples) == sorted(gained.iter_rows())


def test_the_answer_is_the_same_when_all_rows_are_decided_on_at_once(tmp_path, pairs, partitions):
    ledger_of(tmp_path / "run", recipe_for(pairs, IN_FIVE))
    in_partitions = asked(tmp_path / "run", pairs, IN_FIVE)
    partitions.clear()
    at_once = asked(tmp_path / "run", pairs, AT_ONCE)

    assert partitions == []
    assert at_once == in_partitions
    assert at_once.gained == {"deduplicate.same_url": 45}
