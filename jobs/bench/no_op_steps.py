"""A source and stages that do nothing, so that what a run costs is the engine's share."""

from __future__ import annotations

from typing import Any, Literal

import pyarrow as pa

from curation.catalogue import Catalogue
from curation.contracts.config import StepConfig
from curation.contracts.resources import ONE_CPU, Resources
from curation.contracts.source import Source, SourceIndex
from curation.contracts.stage import Stage, StageSpec
from curation.storage.store import Store
from schemas.columns import schema_of


class MadeUpRows(Source):
    """Row i has the key, the URL and the caption `i`."""

    class Config(StepConfig):
        """How many rows."""

        kind: Literal["made_up_rows"] = "made_up_rows"
        rows: int

    @property
    def carried(self) -> tuple[str, ...]:
        """None."""
        return ()

    def check(self) -> None:
        """Can always be read."""

    def index(self, workspace: Store) -> SourceIndex:
        """Nothing is looked at."""
        config: Any = self.config
        rows = int(config.rows)
        return SourceIndex(rows, f"made-up-{rows}", schema_of("row", "key", "url", "caption"))

    def read(self, index: SourceIndex, start: int, stop: int, workspace: Store) -> pa.Table:
        """Makes the rows."""
        texts = [str(row) for row in range(start, stop)]
        return pa.table([list(range(start, stop)), texts, texts, texts], schema=index.columns)


class NoOp(Stage):
    """Returns what it is given. On a GPU it asks for a share of one and leaves it alone."""

    class Config(StepConfig):
        """On which device, and whether the phase ends behind it."""

        kind: Literal["no_op"] = "no_op"
        gpu: bool = False
        decides: bool = False

    @property
    def spec(self) -> StageSpec:
        """Reads the caption, adds nothing."""
        config: Any = self.config
        needs = Resources(cpus=0.0, gpus=1.0) if config.gpu else ONE_CPU
        return StageSpec("no_op", 1, ("caption",), (), needs, decides=config.decides)

    def process(self, table: pa.Table) -> pa.Table:
        """Nothing."""
        return table


CATALOGUE = Catalogue(sources={"made_up_rows": MadeUpRows}, stages={"no_op": NoOp}, exchanges={}, sinks={})
