"""A toy web that changes between runs, a stage that visits it, one that works on what it brought, and their runs."""

import hashlib
import json
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow as pa
from toy_runs import files_of
from toy_steps import CATALOGUE, by_kind

from curation.catalogue import Catalogue
from curation.contracts.config import StepConfig, Tuning
from curation.contracts.marks import failed, unchanged, with_marks
from curation.contracts.resources import Resources
from curation.contracts.stage import Stage, StageSpec, StreamingStage, earlier_values
from curation.engine.events import Listeners
from curation.engine.run import Run
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from curation.runtime.in_process import InProcessRunner
from curation.storage.store import Store
from schemas.columns import COLUMNS
from schemas.outcomes import FailureReason

RECIPE = """
source: {kind: counting, rows: 40}
steps:
  - {kind: measure_text, min_words: 1, decides: true}
  - {kind: visit, web: WEB}
  - {kind: develop}
  - {kind: threshold, min: 2}
  - {kind: weigh, web: WEB}
  - {kind: write_lines, unit_rows: 10}
run: {part_rows: 16}
"""


class ToyWeb:
    """What each row's page is just now: version 0 unless told otherwise. Even rows have an ETag."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "web.json"
        self.log = folder / "web.json.log"
        self.set()

    def set(self, failing=None, versions=None, details=None, weightless=()):
        """Changes the web: reasons to fail and their evidence by row, and rows that `weigh` fails."""
        pages = {
            "failing": {str(row): str(FailureReason(reason)) for row, reason in (failing or {}).items()},
            "details": {str(row): detail for row, detail in (details or {}).items()},
            "versions": {str(row): version for row, version in (versions or {}).items()},
            "weightless": list(weightless),
        }
        self.path.write_text(json.dumps(pages))

    def asked(self, kind):
        """Rows since the last call: `plain` or `conditional` requests, `bodies` sent, or rows that were `weighed`."""
        lines = [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return sorted(int(row) for what, row in lines if what == kind)

    def forget(self):
        """Empties the log."""
        self.log.unlink(missing_ok=True)


def page_body(row, version):
    """What a page of a version holds."""
    return f"u/{row}".encode() + b"!" * version


def _note(web, entries):
    with open(f"{web}.log", "a") as file:
        file.writelines(f"{what} {row}\n" for what, row in entries)


class Visit(StreamingStage):
    """Asks for each row's page, the last row first; conditionally where it was given an ETag."""

    class Config(StepConfig):
        kind: Literal["visit"] = "visit"
        web: Tuning[str]
        salt: int = 0

    @property
    def spec(self):
        adds = ("body", "http_status", "etag", "sha256")
        return StageSpec("visit", 1, ("url",), adds, rowwise=True, revisits=("etag", "sha256"))

    def stream(self, table):
        pages = json.loads(Path(self.config.web).read_text())
        earlier = list(zip(earlier_values(table, "etag"), earlier_values(table, "sha256"), strict=True))
        for i in range(table.num_rows - 1, -1, -1):
            row = table["row"][i].as_py()
            values, mark, noted = self._visit(row, pages, *earlier[i])
            _note(self.config.web, [(what, row) for what in noted])
            chunk = table.slice(i, 1)
            for name, value in zip(self.spec.adds, values, strict=True):
                chunk = chunk.append_column(COLUMNS[name].field, pa.array([value], COLUMNS[name].type))
            yield with_marks(chunk, [mark])

    def _visit(self, row, pages, etag, sha256):
        request = "conditional" if etag else "plain"
        if reason := pages["failing"].get(str(row)):
            mark = failed(FailureReason(reason), pages["details"].get(str(row)))
            return (None, 500, None, None), mark, (request,)
        body = page_body(row, pages["versions"].get(str(row), 0))
        digest = hashlib.sha256(body).hexdigest()
        if etag and etag == digest[:8]:
            return (None, 304, None, None), unchanged(), (request,)
        if sha256 == digest:
            return (body, 200, None, None), unchanged(), (request, "bodies")
        return (body, 200, digest[:8] if row % 2 == 0 else None, digest), None, (request, "bodies")


class Weigh(Stage):
    """`text_chars` = length of the image, in a phase of its own behind an exchange."""

    class Config(StepConfig):
        kind: Literal["weigh"] = "weigh"
        web: Tuning[str]

    @property
    def spec(self):
        return StageSpec("weigh", 1, ("image",), ("text_chars",), rowwise=True)

    def process(self, table):
        rows = table["row"].to_pylist()
        _note(self.config.web, [("weighed", row) for row in rows])
        weightless = json.loads(Path(self.config.web).read_text())["weightless"]
        bad = [row in weightless for row in rows]
        sizes = [None if none else len(image) for none, image in zip(bad, table["image"].to_pylist(), strict=True)]
        table = table.append_column(COLUMNS["text_chars"].field, pa.array(sizes, pa.int32()))
        return with_marks(table, [failed(FailureReason.NON_FINITE_SCORE) if none else None for none in bad])


class WeighOnGpu(Weigh):
    """`weigh` on another worker than the stages before it."""

    class Config(StepConfig):
        kind: Literal["weigh_on_gpu"] = "weigh_on_gpu"
        web: Tuning[str]

    @property
    def spec(self):
        return StageSpec("weigh_on_gpu", 1, ("image",), ("text_chars",), rowwise=True, resources=Resources(1, 0.5))


WEB_CATALOGUE = Catalogue(
    CATALOGUE.sources,
    {**CATALOGUE.stages, **by_kind(Visit, Weigh, WeighOnGpu)},
    CATALOGUE.exchanges,
    CATALOGUE.sinks,
)


def visit(folder: Path, web: ToyWeb, *overrides, request=None, text=RECIPE, listener=None):
    """Runs the recipe over the web as it is now."""
    recipe = parse_recipe(text.replace("WEB", json.dumps(str(web.path))), "recipe.yaml", WEB_CATALOGUE, overrides)
    runner = InProcessRunner(recipe.run.max_tries)
    run = Run(recipe, make_plan(recipe), Store(str(folder)), runner, listener or Listeners(), request)
    return run.execute()


def contents(folder: Path, result):
    """The bytes of ledger and delivery by name, whatever the fingerprints of their folders are."""
    return {(path.parts[0], path.name): data for path, data in files_of(folder, result).items()}


def ends_of(folder: Path, result):
    """{row: (outcome, reason, detail, width, weight)} of the ledger."""
    ledger = pl.read_parquet(f"{folder}/{result.ledger}/*.parquet")
    columns = ("row", "outcome", "reason", "detail", "width", "text_chars")
    rows = list(ledger.select(columns).iter_rows())
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: row[1:] for row in rows}
