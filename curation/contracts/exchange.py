"""The contract of an exchange: a decision over columns of all rows at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from curation.contracts.config import StepConfig


@dataclass(frozen=True, slots=True)
class ExchangeSpec:
    """What an exchange declares of itself.

    Attributes:
        kind: The exchange's name in recipes.
        version: Bumped whenever a verdict changes for the same input and config.
        requires: Scalar columns it reads, beside `row` and `key`, which it always gets.
        adds: Scalar columns it adds to every row it judges.
    """

    kind: str
    version: int
    requires: tuple[str, ...]
    adds: tuple[str, ...] = ()


class Exchange(ABC):
    """A deciding step: a pure function of its columns.

    Ties break on the row's key, chance on a seed and the key's hash.
    """

    Config: ClassVar[type[StepConfig]]

    def __init__(self, config: StepConfig) -> None:
        self.config = config

    @property
    @abstractmethod
    def spec(self) -> ExchangeSpec:
        """What the exchange needs and makes under its config."""

    def check(self) -> None:  # noqa: B027 - most exchanges have nothing to check
        """Looks before the start for what would fail later. Raises RecipeError with the remedy."""

    @abstractmethod
    def decide(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Judges the rows that are still alive.

        Args:
            frame: `row` (Int64), `key` (String) and the columns of `spec.requires`, in any order of rows.

        Returns:
            One row for each row given: `row`, `reason` (the rule that rejects it, null where it is
            kept), `detail` (the figure and the bound, or null) and the columns of `spec.adds`.
        """
