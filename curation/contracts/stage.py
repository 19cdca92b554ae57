"""The contract of a stage: part in, the same rows out with more columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from curation.contracts.config import StepConfig
from curation.contracts.resources import ONE_CPU, Resources
from curation.contracts.shared import SharedLink, SharedSpec
from schemas.columns import COLUMNS


@dataclass(frozen=True, slots=True)
class StageSpec:
    """What a stage declares of itself.

    Attributes:
        kind: The stage's name in recipes.
        version: Bumped whenever the output changes for the same input and config.
        requires: Columns it reads. It is given these, `row` and `key`, and no others.
        adds: Columns it adds, each registered in `schemas.columns`.
        resources: What one worker needs.
        rowwise: A row's result depends on that row alone, so the engine may pass the rows in
            any chunks, in any order, as they arrive.
        decides: It only judges cheap columns. Its phase ends behind it, so that changing one of
            its bounds repeats nothing that was measured later.
        revisits: Columns of its own output (`adds`, none of them transient) that it is given back when a
            row is asked for again; see `earlier_values`. `curation run --refresh` asks the phases of such
            stages for all of their rows again.
        row_seconds: Roughly, how long a worker takes for a row, to size pools until it has been measured; no result
            hangs on it.
    """

    kind: str
    version: int
    requires: tuple[str, ...]
    adds: tuple[str, ...]
    resources: Resources = ONE_CPU
    rowwise: bool = False
    decides: bool = False
    revisits: tuple[str, ...] = ()
    row_seconds: float | None = None


_EARLIER = "earlier:"


def earlier_name(column: str) -> str:
    """The name under which a stage is given what it returned for a column before."""
    return f"{_EARLIER}{column}"


def earlier_values(table: pa.Table, column: str) -> list[Any]:
    """What a stage that `revisits` a column returned for it before, None for a row of which there is nothing.

    Only a refresh gives the stage anything back. A row that turns out to be what it was gets the mark
    `unchanged`, and all that was measured of it stays.
    """
    name = earlier_name(column)
    return list(table[name].to_pylist()) if name in table.column_names else [None] * table.num_rows


class Stage(ABC):
    """A measuring step. Building one does no I/O, and it can be pickled before `setup`.

    `process` gets only rows that are still alive, does not change its input, is safe to retry
    and takes an empty table. A bad sample is data: it gets a mark (see `marks`), not an exception.
    """

    Config: ClassVar[type[StepConfig]]

    def __init__(self, config: StepConfig) -> None:
        self.config = config

    @property
    @abstractmethod
    def spec(self) -> StageSpec:
        """What the stage needs and makes under its config."""

    def check(self) -> None:  # noqa: B027 - most stages have nothing to check
        """Looks before the start for what would fail later, such as a model that does not exist.

        Cheap: loads no weights, reads no data.

        Raises:
            RecipeError: With the remedy.
        """

    def check_source(self, columns: pa.Schema) -> None:  # noqa: B027 - most stages take any type
        """Looks, once the source is indexed, whether its columns are of types that the stage can read.

        Args:
            columns: Schema of the source's rows, whether the stage requires them or not.

        Raises:
            RecipeError: With the remedy.
        """

    def content_digest(self) -> str | None:
        """Changes when what it reads beside its columns does, such as files that its config names; None: nothing.

        Part of the phase's fingerprint, so it is asked for on the driver at every run: it must be cheap.

        Raises:
            RecipeError: It cannot be read.
        """
        return None

    @property
    def shared(self) -> SharedSpec | None:
        """What all workers of the step share, wherever they run; None for nothing."""
        return None

    def connect(self, link: SharedLink) -> None:  # noqa: B027 - most stages share nothing
        """Called once on the worker, before `setup`, where `shared` is not None. Not called outside a runner."""

    def setup(self) -> None:  # noqa: B027 - most stages have nothing to set up
        """Called once on the worker, before the first part: loads models, opens sessions."""

    @abstractmethod
    def process(self, table: pa.Table) -> pa.Table:
        """The same rows in the same order: the input's columns, those of `spec.adds`, and, if any row ends, marks.

        A marked row has null wherever it was not measured.
        """

    def close(self) -> None:  # noqa: B027 - most stages have nothing to close
        """Called once on the worker, after the last part."""


class StreamingStage(Stage):
    """A stage whose rows are done at different times: the rowwise stages behind it work on each as it arrives."""

    @abstractmethod
    def stream(self, table: pa.Table) -> Iterator[pa.Table]:
        """Yields every row of the table exactly once, in small tables, in the order they are done.

        The tables have the columns that `process` would return, marks included.
        """

    def process(self, table: pa.Table) -> pa.Table:
        """All chunks of `stream`, put back into the order of the input."""
        chunks = list(self.stream(table))
        if not chunks:
            for name in self.spec.adds:
                table = table.append_column(COLUMNS[name].field, pa.array([], COLUMNS[name].type))
            return table
        done = pa.concat_tables(chunks)
        order = {row: place for place, row in enumerate(done["row"].to_pylist())}
        return done.take(pa.array([order[row] for row in table["row"].to_pylist()], pa.int64()))
