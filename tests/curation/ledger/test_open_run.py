"""Opening a folder: a run, a run that has not ended, or none."""

import pytest
from toy_runs import execute

from curation.errors import RecipeError
from curation.ledger.funnel import make_funnel
from curation.ledger.open_run import open_ledger, open_run
from curation.storage.store import Store


def test_record_and_ledger_are_those_of_the_latest_run_when_it_ended(tmp_path):
    execute(tmp_path, "source.rows=20")
    latest = execute(tmp_path, "source.rows=20", "threshold.min=6")
    _, record = open_run(str(tmp_path))
    assert (record.ledger, record.shards, record.rows) == (latest.ledger, latest.shards, 20)
    ledger = open_ledger(str(tmp_path)).collect()
    assert sorted(ledger["row"]) == list(range(20))
    assert ledger.filter(outcome="kept")["text_words"].min() == 6


def test_the_remedy_is_named_when_there_is_no_run(tmp_path):
    for opens in (open_run, open_ledger):
        with pytest.raises(RecipeError) as caught:
            opens(str(tmp_path))
        assert str(caught.value) == f"{tmp_path}: no run here; start one with `curation run RECIPE --out {tmp_path}`"


def test_the_remedy_is_named_when_the_run_has_not_come_to_its_end(tmp_path):
    execute(tmp_path, "source.rows=20")
    store = Store(str(tmp_path))
    _, record = open_run(str(tmp_path))
    store.write_bytes("run.json", record.model_copy(update={"ledger": None, "state": "running"}).to_bytes())
    with pytest.raises(RecipeError, match="the run is not complete; finish it with `curation run` and the same recipe"):
        open_ledger(str(tmp_path))


def test_the_ledger_can_be_asked_anything_when_the_source_was_empty(tmp_path):
    execute(tmp_path, "source.rows=0")
    ledger = open_ledger(str(tmp_path))
    assert ledger.collect().height == 0
    assert make_funnel(ledger, ["draw"]).kept == 0
