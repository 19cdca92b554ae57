"""Runs of the toy recipe, and what they left behind."""

from pathlib import Path

import polars as pl
from toy_steps import CATALOGUE

from curation.engine.events import Listeners
from curation.engine.run import Run
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from curation.runtime.in_process import InProcessRunner
from curation.storage.store import Store

RECIPE = """
source: {kind: counting, rows: 100}
steps:
  - {kind: measure_text, min_words: 1, decides: true, log: LOG/measured}
  - {kind: draw, log: LOG/drawn}
  - {kind: develop}
  - {kind: threshold, min: 3}
  - {kind: write_lines, unit_rows: 10}
run: {part_rows: 16}
"""


class Killed(BaseException):
    """As sudden as SIGKILL: nothing of the run catches it."""


class KillAfter:
    """A listener that ends the run at its nth word."""

    def __init__(self, words):
        self.left = words

    def _hear(self, *_):
        self.left -= 1
        if self.left == 0:
            raise Killed

    item_started = unit_done = item_ended = _hear


def execute(
    folder: Path, *overrides, text=RECIPE, log=None, runner=None, listener=None, catalogue=CATALOGUE, wrap=None
):
    recipe = parse_recipe(text.replace("LOG", str(log or folder.parent)), "recipe.yaml", catalogue, overrides)
    runner = runner or InProcessRunner(recipe.run.max_tries)
    run = Run(recipe, make_plan(recipe), Store(str(folder)), runner, listener or Listeners(), wrap=wrap)
    return run.execute()


def ledger_of(folder: Path, result):
    return pl.read_parquet(f"{folder}/{result.ledger}/*.parquet").sort("row")


def files_of(folder: Path, result):
    """The bytes of every file of the ledger and of the delivery."""
    paths = sorted(p for kind in (result.ledger, result.shards) for p in (folder / kind).iterdir())
    return {path.relative_to(folder): path.read_bytes() for path in paths}


def logged(path: Path):
    """The rows that a stage worked on, each as often as it did."""
    return sorted(int(line) for line in path.read_text().split()) if path.exists() else []
