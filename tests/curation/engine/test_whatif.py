"""What another recipe would decide is what a run with it decides, and asking leaves no trace."""

import polars as pl
import pytest
from toy_runs import KillAfter, Killed, execute, ledger_of
from toy_steps import CATALOGUE

from curation.engine.whatif import what_if
from curation.errors import RecipeError
from curation.ledger.funnel import make_funnel
from curation.ledger.open_run import open_run
from curation.recipe.load import parse_recipe

RECIPE = """
source: {kind: counting, rows: 100}
steps:
  - {kind: measure_text, min_words: 1, decides: true}
  - {kind: threshold, min: 3}
  - {kind: draw, log: LOG/drawn}
  - {kind: develop}
  - {kind: threshold, name: wide, column: width, min: 8}
  - {kind: write_lines, unit_rows: 10}
run: {part_rows: 16}
"""
DRAWN = "draw-develop"


def ask(folder, *overrides, text=RECIPE):
    text = text.replace("LOG", str(folder.parent))
    store, record = open_run(str(folder))
    now, then = (parse_recipe(text, "recipe.yaml", CATALOGUE, given) for given in ((), overrides))
    return what_if(store, record, now, then)


def width(row):
    return 2 * len(f"u/{row}")


def trace(folder):
    return sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob("*"))


def test_rows_are_lost_by_the_changed_rule_when_it_is_stricter(tmp_path):
    out = tmp_path / "out"
    execute(out, text=RECIPE)
    before = trace(out)
    result = ask(out, "threshold.min=5")
    alive = [row for row in range(100) if row % 7 in (3, 4) and row % 5 and width(row) >= 8]
    assert result.lost == {"threshold.min": len(alive)}
    assert (result.gained, result.unmeasured, result.from_ledger) == ({}, {}, True)
    assert result.present.kept - result.funnel.kept == len(alive)
    example = result.lost_examples[0]
    assert (example.url, example.row in alive, example.reason) == (f"u/{example.row}", True, "threshold.min")
    assert [e.key for e in result.lost_examples] == sorted(e.key for e in result.lost_examples)
    assert trace(out) == before


def test_rows_count_as_unmeasured_when_they_newly_live_on(tmp_path):
    out = tmp_path / "out"
    execute(out, text=RECIPE)
    result = ask(out, "threshold.min=2")
    newly = [row for row in range(100) if row % 7 == 2]
    assert result.unmeasured == {DRAWN: len(newly)}
    assert (result.lost, result.gained) == ({}, {})
    assert sum(step.failed.get("unmeasured", 0) for step in result.funnel.steps) == len(newly)
    assert result.funnel.kept == result.present.kept


def test_rows_are_judged_when_another_version_has_measured_them(tmp_path):
    out = tmp_path / "out"
    loose = execute(out, "threshold.min=2", text=RECIPE)
    kept = ledger_of(out, loose).filter(outcome="kept").height
    strict = execute(out, text=RECIPE)
    result = ask(out, "threshold.min=2")
    assert result.unmeasured == {}
    assert result.funnel.kept == kept
    gained = kept - ledger_of(out, strict).filter(outcome="kept").height
    assert result.gained == {"threshold.min": gained}
    assert {example.row % 7 for example in result.gained_examples} == {2}


@pytest.mark.parametrize("override", ["threshold.min=4", "wide.min=5", "wide.min=9", "write_lines.unit_rows=3"])
def test_the_answer_is_what_a_run_comes_to_when_nothing_has_to_be_measured(tmp_path, override):
    out = tmp_path / "out"
    execute(out, text=RECIPE)
    foreseen = ask(out, override).funnel
    result = execute(out, override, text=RECIPE)
    names = [step.step for step in foreseen.steps]
    assert make_funnel(ledger_of(out, result).lazy(), names) == foreseen


def test_later_decisions_are_made_again_when_an_earlier_one_changes(tmp_path):
    out = tmp_path / "out"
    execute(out, text=RECIPE)
    result = ask(out, "threshold.min=5", "wide.min=9")
    narrow = [row for row in range(100) if row % 7 >= 5 and row % 5 and width(row) < 9]
    (wide,) = (step for step in result.funnel.steps if step.step == "wide")
    assert wide.rejected == {"wide.min": len(narrow)}
    assert (result.lost["wide.min"], result.lost["threshold.min"]) == (
        len([row for row in narrow if width(row) >= 8]),
        len([row for row in range(100) if row % 7 in (3, 4) and row % 5 and width(row) >= 8]),
    )


def test_a_change_is_refused_when_it_would_measure_anew(tmp_path):
    out = tmp_path / "out"
    execute(out, text=RECIPE)
    with pytest.raises(RecipeError, match="would measure anew: measure_text"):
        ask(out, "measure_text.min_words=2")
    with pytest.raises(RecipeError, match="another source, or other parts"):
        ask(out, "run.part_rows=8")
    with pytest.raises(RecipeError, match="nothing was measured of the source as it is"):
        ask(out, "threshold.min=4", text=RECIPE.replace("rows: 100", "rows: 99"))


@pytest.mark.parametrize("words", range(2, 22, 3))
def test_what_is_measured_so_far_is_judged_when_a_run_died(tmp_path, words):
    out = tmp_path / "out"
    with pytest.raises(Killed):
        execute(out, text=RECIPE, listener=KillAfter(words))
    before = trace(out)
    result = ask(out, "wide.min=9")
    assert not result.from_ledger
    assert trace(out) == before
    missing = sum(result.unmeasured.values())
    ends = sum(sum({**step.rejected, **step.failed}.values()) for step in result.funnel.steps)
    assert result.funnel.rows_in == 100 == result.funnel.kept + ends
    assert result.present.kept - result.funnel.kept == sum(result.lost.values())
    if not missing:
        done = execute(out, "wide.min=9", text=RECIPE)
        assert ledger_of(out, done).filter(outcome="kept").height == result.funnel.kept


def test_measured_rows_are_found_when_the_present_that_is_worked_out_first_lacks_them(tmp_path):
    out = tmp_path / "out"
    execute(out, "threshold.min=5", text=RECIPE)
    loose = execute(out, "threshold.min=3", text=RECIPE)
    kept = ledger_of(out, loose).filter(outcome="kept").filter(pl.col("row") % 7 >= 4).height
    text = RECIPE.replace("min: 3", "min: 6")
    with pytest.raises(Killed):
        execute(out, text=text, listener=KillAfter(2))
    result = ask(out, "threshold.min=4", text=text)
    assert (result.from_ledger, result.unmeasured, result.funnel.kept) == (False, {}, kept)
