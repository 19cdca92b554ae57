"""What a run tells of itself while it goes on: to a terminal, to a metrics file, to a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from schemas.records import UnitReport


@dataclass(frozen=True, slots=True)
class ItemStart:
    """A phase, decision, delivery or ledger begins.

    Attributes:
        units: Parts, shards, or 1 for a decision.
        done: How many of them were committed before this run.
    """

    kind: str
    name: str
    units: int
    done: int


class Listener(Protocol):
    """Hears of a run."""

    def item_started(self, start: ItemStart) -> None:
        """An item begins."""

    def unit_done(self, report: UnitReport) -> None:
        """A unit of the present item is committed, or was set aside (`error`)."""

    def item_ended(self, seconds: float) -> None:
        """The present item is complete."""


class Listeners:
    """Passes everything on to several."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def item_started(self, start: ItemStart) -> None:
        """An item begins."""
        for listener in self._listeners:
            listener.item_started(start)

    def unit_done(self, report: UnitReport) -> None:
        """A unit is done."""
        for listener in self._listeners:
            listener.unit_done(report)

    def item_ended(self, seconds: float) -> None:
        """The present item is complete."""
        for listener in self._listeners:
            listener.item_ended(seconds)
