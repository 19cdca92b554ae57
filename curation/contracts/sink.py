"""The contract of a sink: how the survivors leave, in units that are written and committed one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import polars as pl
import pyarrow as pa

from curation.contracts.config import StepConfig
from curation.contracts.resources import ONE_CPU, Resources

if TYPE_CHECKING:
    from curation.storage.store import Store
    from schemas.records import FileRecord


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """What a sink declares of itself.

    Attributes:
        kind: The sink's name in recipes.
        version: Bumped whenever the written bytes change for the same rows and config.
        requires: Columns it cannot do without. It is given these, and every other column there is.
        adds: Scalar columns that `assign` adds to the ledger.
        resources: What one worker needs.
    """

    kind: str
    version: int
    requires: tuple[str, ...]
    adds: tuple[str, ...]
    resources: Resources = ONE_CPU


class Sink(ABC):
    """The last step of a recipe. What it writes depends on the rows and the config alone, to the byte."""

    Config: ClassVar[type[StepConfig]]

    def __init__(self, config: StepConfig) -> None:
        self.config = config

    @property
    @abstractmethod
    def spec(self) -> SinkSpec:
        """What the sink needs and makes under its config."""

    def check(self) -> None:  # noqa: B027 - most sinks have nothing to check
        """Looks before the start for what would fail later. Raises RecipeError with the remedy."""

    @abstractmethod
    def assign(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Gives every surviving row its place.

        Args:
            frame: `row` (Int64) and `key` (String) of the survivors.

        Returns:
            One row for each row given: `row`, `reason` (null unless the row is not delivered),
            `detail`, and the columns of `spec.adds`: the first is the unit (Int32, dense from 0),
            the second the place in it (Int32, dense from 0); both null with a reason.
        """

    @abstractmethod
    def write(self, unit: int, table: pa.Table, store: Store) -> list[FileRecord]:
        """Writes one unit under names that depend on the unit alone; writing it twice gives the same bytes.

        Args:
            unit: Its number.
            table: Its rows in their places, with every column of the run that is not transient or volatile.
            store: Rooted at the folder of the delivery.
        """

    @abstractmethod
    def finish(self, units: list[list[FileRecord]], store: Store) -> list[FileRecord]:
        """Writes what describes all units together, last of it the manifest. Called once, after every unit.

        A delivery without `manifest.json` is taken for one that is not finished.
        """
