"""The contract between what is to be done with a unit and the runner that does it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import pyarrow as pa

from curation.contracts.exchange import Partitions
from curation.contracts.resources import Resources
from curation.contracts.shared import SharedLink, SharedSpec
from curation.plan.costs import StepCost
from curation.plan.placement import Node
from curation.storage.store import Store
from schemas.records import StepSpan, UnitReport


@dataclass(frozen=True, slots=True)
class Handover:
    """What an operator gives to the next one, or, from the last one, to the driver.

    Attributes:
        table: The rows on their way; None when the unit is done.
        report: Set when the unit is done; the operators behind pass it on.
    """

    table: pa.Table | None = None
    report: UnitReport | None = None


class Operator(ABC):
    """Work on one unit (a part or a shard) that a runner may repeat, move and kill at any time. Can be pickled."""

    name: str
    resources: Resources
    steps: tuple[str, ...] = ()
    """Those of its steps whose time its reports tell."""
    costs: Mapping[str, StepCost] = MappingProxyType({})
    """What a row costs in these steps, where that is known."""

    @property
    def shared(self) -> Mapping[str, SharedSpec]:
        """What all workers of the operator share, by names that mean something to the operator alone."""
        return {}

    def connect(self, links: Mapping[str, SharedLink]) -> None:  # noqa: B027 - most operators share nothing
        """Called once on the worker, before `setup`, with a link for each name of `shared`."""

    def setup(self) -> None:  # noqa: B027 - most operators have nothing to set up
        """Called once on the worker."""

    @abstractmethod
    def run(self, unit: int, table: pa.Table | None) -> Handover:
        """Works on a unit; the first operator of a pipeline gets no table."""

    def step_spans(self) -> Sequence[StepSpan]:
        """What its steps did when, in the unit that it worked on last; for traces."""
        return ()

    def close(self) -> None:  # noqa: B027 - most operators have nothing to close
        """Called once on the worker, after the last unit; not where it dies, or where the run ends early."""


class Runner(Protocol):
    """Runs a pipeline of operators over units, in this process or on a cluster."""

    def run(
        self,
        operators: Sequence[Operator],
        units: Sequence[int],
        on_report: Callable[[UnitReport], None],
    ) -> None:
        """Calls `on_report` once for each unit; with `error` set, the unit was tried as often as is allowed."""
        ...

    def capacity(self) -> Sequence[Node] | None:
        """What there is for workers, None where there are none; starts or joins what they will run on."""
        ...

    def partitions(self, count: int, workspace: Store) -> Partitions:
        """Works on so many hash partitions of a frame, which are written to the workspace for the time being."""
        ...

    def close(self) -> None:
        """Lets go of whatever the runner holds."""
        ...
