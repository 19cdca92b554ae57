"""rows in = kept + rejected + failed, whatever becomes of the rows and of the parts."""

import tempfile
from pathlib import Path

import polars as pl
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st
from toy_runs import execute, ledger_of
from toy_steps import CATALOGUE, MeasureText, Threshold, by_kind

from curation.catalogue import Catalogue
from curation.contracts.config import StepConfig
from curation.contracts.exchange import Exchange, ExchangeSpec
from curation.contracts.marks import failed, rejected, with_marks
from curation.contracts.stage import Stage, StageSpec
from curation.engine.events import Listeners
from curation.engine.run import Run
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from curation.runtime.in_process import InProcessRunner
from curation.storage.store import Store
from schemas.columns import COLUMNS
from schemas.outcomes import FailureReason

REASONS = list(FailureReason)


class Fate(Stage):
    """Ends the rows that it is told to end, each in the way it is told; raises at the rows it is told to raise at."""

    class Config(StepConfig):
        kind: str = "fate"
        reject: tuple[int, ...] = ()
        fail: tuple[int, ...] = ()
        break_at: tuple[int, ...] = ()
        makes: str = "text_chars"

    @property
    def spec(self):
        return StageSpec("fate", 1, ("caption",), (self.config.makes,), decides=self.config.makes == "text_chars")

    def process(self, table):
        rows = table["row"].to_pylist()
        if set(rows) & set(self.config.break_at):
            raise ValueError("told to")
        column = COLUMNS[self.config.makes]
        table = table.append_column(column.field, pa.nulls(len(rows), column.type))
        marks = {row: rejected("fated") for row in self.config.reject}
        marks.update({row: failed(REASONS[row % len(REASONS)], str(row)) for row in self.config.fail})
        return with_marks(table, [marks.get(row) for row in rows])


class Chosen(Exchange):
    """Rejects the rows that it is told to reject."""

    class Config(StepConfig):
        kind: str = "chosen"
        reject: tuple[int, ...] = ()

    @property
    def spec(self):
        return ExchangeSpec("chosen", 1, ())

    def decide(self, frame):
        reason = pl.when(pl.col("row").is_in(list(self.config.reject))).then(pl.lit("fated"))
        return frame.select("row", reason=reason, detail=pl.lit(None, pl.String))


FATES = Catalogue(CATALOGUE.sources, by_kind(Fate, MeasureText), by_kind(Chosen, Threshold), CATALOGUE.sinks)
SOME = st.lists(st.integers(0, 29), max_size=6, unique=True).map(sorted)


@settings(max_examples=12)
@given(
    rows=st.integers(0, 30),
    part_rows=st.sampled_from([1, 4, 7, 30, 100]),
    fates=st.fixed_dictionaries({"r1": SOME, "f1": SOME, "r2": SOME, "r3": SOME, "f3": SOME}),
    breaks=st.lists(st.integers(0, 29), max_size=1),
)
@example(rows=9, part_rows=4, fates={"r1": [4, 5, 6, 7], "f1": [8], "r2": [], "r3": [0], "f3": [0]}, breaks=[2])
@example(rows=8, part_rows=4, fates={"r1": [], "f1": [], "r2": list(range(8)), "r3": [], "f3": []}, breaks=[])
def test_the_ledger_has_each_row_once_with_its_first_end_when_rows_end_anywhere(rows, part_rows, fates, breaks):
    steps = (
        f"  - {{kind: fate, reject: {fates['r1']}, fail: {fates['f1']}}}\n"
        f"  - {{kind: chosen, reject: {fates['r2']}}}\n"
        f"  - {{kind: fate, name: late, makes: width, reject: {fates['r3']}, fail: {fates['f3']}, "
        f"break_at: {breaks}}}\n"
        "  - {kind: write_lines, unit_rows: 4}\n"
    )
    text = f"source: {{kind: counting, rows: {rows}}}\nsteps:\n{steps}run: {{part_rows: {part_rows}, max_tries: 1}}\n"
    recipe = parse_recipe(text, "r.yaml", FATES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = Run(recipe, make_plan(recipe), Store(name), InProcessRunner(1), Listeners()).execute()
        ledger = ledger_of(folder, result) if rows else pl.DataFrame({"row": [], "outcome": [], "reason": []})
        delivered = (folder / result.shards).glob("[0-9]*.txt")
        lines = [line for path in delivered for line in path.read_text().splitlines()]
    ends = {row: (outcome, reason) for row, outcome, reason in ledger.select("row", "outcome", "reason").iter_rows()}
    assert ledger["row"].to_list() == list(range(rows))
    alive = set(range(rows)) - set(fates["r1"]) - set(fates["f1"]) - set(fates["r2"])
    broken = {row for row in alive for bad in set(breaks) & alive if row // part_rows == bad // part_rows}
    for row in range(rows):
        assert ends[row] == _expected(row, fates, broken)
    kept = [row for row, (outcome, _) in ends.items() if outcome == "kept"]
    assert sorted(int(line.split()[0]) for line in lines) == kept


def _expected(row, fates, broken):
    # Where a row is told both, the failure is written over the rejection.
    if row in fates["f1"]:
        return "failed", REASONS[row % len(REASONS)].value
    if row in fates["r1"]:
        return "rejected", "fate.fated"
    if row in fates["r2"]:
        return "rejected", "chosen.fated"
    if row in broken:
        return "failed", "quarantined"
    if row in fates["f3"]:
        return "failed", REASONS[row % len(REASONS)].value
    if row in fates["r3"]:
        return "rejected", "late.fated"
    return "kept", None


@settings(max_examples=6)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=3))
def test_results_depend_on_the_last_recipe_alone_when_thresholds_wander(path):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for words, least in path:
            overrides = (f"measure_text.min_words={words}", f"threshold.min={least}", "source.rows=40")
            wandered = execute(folder / "wandering", *overrides, log=folder)
        fresh = execute(folder / "fresh", *overrides, log=folder)
        assert wandered == fresh
        assert ledger_of(folder / "wandering", wandered).equals(ledger_of(folder / "fresh", fresh))
