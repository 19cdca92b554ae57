"""Every exchange of the catalogue: other settings measure nothing again, other parts change no verdict."""

import json
from typing import Literal

import polars as pl
import pytest
from samples import table_for
from toy_runs import ledger_of, logged
from toy_steps import CATALOGUE as TOYS

from curation.catalogue import Catalogue
from curation.contracts.config import StepConfig, Tuning
from curation.contracts.stage import Stage, StageSpec
from curation.engine.events import Listeners
from curation.engine.run import Run
from curation.ledger.diff import diff_ledgers
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from curation.runtime.in_process import InProcessRunner
from curation.storage.store import Store
from stages.catalogue import CATALOGUE
from tests.contract.test_exchanges import SETTINGS

ROWS = 60
OF_THE_SOURCE = ("url", "caption", "page")


class MakeUp(Stage):
    """Adds columns with the samples of the contract tests, by row. Notes every row it works on in `log`."""

    class Config(StepConfig):
        kind: Literal["make_up"] = "make_up"
        columns: tuple[str, ...]
        log: Tuning[str]

    @property
    def spec(self):
        return StageSpec("make_up", 1, ("url",), self.config.columns, rowwise=True)

    def process(self, table):
        with open(self.config.log, "a") as file:
            file.writelines(f"{row}\n" for row in table["row"].to_pylist())
        made = table_for(self.config.columns, ROWS).take(table["row"])
        for name in self.config.columns:
            table = table.append_column(made.schema.field(name), made[name])
        return table


STEPS = Catalogue(
    sources=TOYS.sources, stages={**TOYS.stages, "make_up": MakeUp}, exchanges=CATALOGUE.exchanges, sinks=TOYS.sinks
)


def run(folder, kind, settings, columns, log, part_rows=16):
    recipe = {
        "source": {"kind": "counting", "rows": ROWS},
        "steps": [
            {"kind": "make_up", "columns": columns, "log": str(log / "made_up")},
            {"kind": kind, **settings},
            {"kind": "draw", "log": str(log / "drawn")},
            {"kind": "write_lines"},
        ],
        "run": {"part_rows": part_rows},
    }
    built = parse_recipe(json.dumps(recipe), "recipe.yaml", STEPS)
    return Run(built, make_plan(built), Store(str(folder)), InProcessRunner(1), Listeners()).execute()


def columns_of(kind, tried):
    """Whatever the exchange reads under any of its settings."""
    step_class = CATALOGUE.exchanges[kind]
    specs = [step_class(step_class.Config.model_validate_json(json.dumps({"kind": kind, **one}))).spec for one in tried]
    return sorted({name for spec in specs for name in spec.requires} - {*OF_THE_SOURCE, "row", "key"})


@pytest.mark.parametrize("kind", sorted(CATALOGUE.exchanges))
def test_nothing_is_measured_again_when_an_exchange_is_set_otherwise(kind, tmp_path):
    tried = SETTINGS.get(kind, [{}])
    columns = columns_of(kind, tried)
    seen = set()
    for settings in tried:
        before = len(logged(tmp_path / "drawn"))
        result = run(tmp_path / "out", kind, settings, columns, tmp_path)
        alive = set(ledger_of(tmp_path / "out", result).filter(pl.col("step").ne_missing(kind))["row"])
        assert logged(tmp_path / "made_up") == list(range(ROWS))
        assert len(logged(tmp_path / "drawn")) - before == len(alive - seen)
        seen |= alive


@pytest.mark.parametrize("kind", sorted(CATALOGUE.exchanges))
def test_verdicts_are_the_same_when_parts_are_of_another_size(kind, tmp_path):
    for number, settings in enumerate(SETTINGS.get(kind, [{}])):
        columns = columns_of(kind, [settings])
        ledgers = []
        for part_rows in (7, 60):
            folder = tmp_path / f"{number}-{part_rows}"
            ledgers.append(ledger_of(folder, run(folder, kind, settings, columns, tmp_path, part_rows)).lazy())
        diff = diff_ledgers(*ledgers)
        assert (diff.same, diff.changed) == (ROWS, 0)
