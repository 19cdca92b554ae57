"""The contract of an exchange: a decision over columns of all rows at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from curation.contracts.config import StepConfig


@dataclass(frozen=True, slots=True)
class ExchangeSpec:
    """What an exchange declares of itself.

    Attributes:
        kind: The exchange's name in recipes.
        version: Bumped whenever a verdict changes for the same input and config.
        requires: Columns it reads, beside `row` and `key`, which it always gets: scalars, and vectors (see `decide`).
        adds: Scalar columns it adds to every row it judges.
    """

    kind: str
    version: int
    requires: tuple[str, ...]
    adds: tuple[str, ...] = ()


class Memory(Protocol):
    """Keeps arrays from one decision to the next, in the run's folder. Anything in it may be gone at any time."""

    def recall(self, name: str) -> Mapping[str, npt.NDArray[np.generic]] | None:
        """What was kept last under a name, bit for bit; None where there is nothing."""
        ...

    def keep(self, name: str, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Keeps arrays in place of what was kept before."""
        ...


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

    def check_behind(self, earlier: Sequence[StepConfig]) -> None:  # noqa: B027 - most do not mind
        """Looks whether its settings fit those of the steps before it. Raises RecipeError with the remedy."""

    def content_digest(self) -> str | None:
        """Changes when what it reads beside its columns does, such as files that its config names; None: nothing.

        Part of the decision's fingerprint, so it is asked for at every run: it must be cheap.

        Raises:
            RecipeError: It cannot be read.
        """
        return None

    def remember_in(self, memory: Memory) -> None:  # noqa: B027 - most have nothing to remember
        """Is told before a decision where it may keep what spares the next one work. No verdict depends on it.

        What it keeps says nothing of whose it is: rows come and go, and a takedown empties the memory.
        """

    @abstractmethod
    def decide(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Judges the rows that are still alive.

        Args:
            frame: `row` (Int64), `key` (String) and the columns of `spec.requires`, in any order of rows. Vectors are
                lists of Float16 that lie in the pool: read them by `vector_batches`, never collect them whole.

        Returns:
            One row for each row given: `row`, `reason` (the rule that rejects it, null where it is
            kept), `detail` (the figure and the bound, or null) and the columns of `spec.adds`.
        """


class GroupingExchange(Exchange):
    """A decision about groups of rows, in which a row that belongs to no group is kept, whatever the others are.

    So rows that surely stand alone need not be in memory together with those that may not: which are which is found
    apart, partition by partition, and only the latter are decided on.
    """

    @property
    @abstractmethod
    def ties(self) -> tuple[pl.Expr, ...]:
        """Values by which rows belong together: two rows with the same value of one of them, unless it is null."""

    @abstractmethod
    def tied_otherwise(self, frame: pl.LazyFrame) -> pl.Series:
        """The rows (Int64) that may belong together in another way than by equal values; some more do no harm.

        Args:
            frame: As of `decide`.
        """


class Partitions(Protocol):
    """Runs a function on the hash partitions of a frame, each of which is a part of the memory that the whole takes."""

    def apply(
        self, frame: pl.LazyFrame, by: str, function: Callable[[pl.DataFrame], pl.DataFrame]
    ) -> Iterator[pl.DataFrame]:
        """Yields what the function makes of each partition.

        Args:
            frame: The rows.
            by: A column of hashes (UInt64); rows of one hash are in one partition.
            function: Importable, so that it reaches other processes.
        """
        ...
