"""What is measured of a run while it goes on: the figures that Prometheus may ask for, and who counts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from curation.engine.events import ItemStart
from schemas.records import UnitReport


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure, by its labels.

    Attributes:
        name: As Prometheus would have it: with its unit, and `_total` where it only grows. Ray puts `ray_` before it.
    """

    name: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...]
    meaning: str


ROWS = Metric(
    "curation_rows_total",
    "counter",
    ("kind", "item", "outcome", "reason"),
    "Rows of the units that were committed, by how they left the item: passed on (kept), rejected by a rule, failed.",
)
ROWS_MEASURED = Metric(
    "curation_rows_measured_total",
    "counter",
    ("kind", "item"),
    "Rows that were worked on, and not taken over from an earlier commit.",
)
WRITTEN_BYTES = Metric("curation_written_bytes_total", "counter", ("kind", "item"), "Bytes of the files committed.")
STAGE_SECONDS = Metric(
    "curation_stage_seconds_total", "counter", ("item", "stage"), "Time that workers spent in a step, together."
)
UNITS = Metric(
    "curation_units_total",
    "counter",
    ("kind", "item", "result"),
    "Parts, shards and decisions that were committed or set_aside by this run.",
)
UNITS_WAITING = Metric(
    "curation_units_waiting", "gauge", ("kind", "item"), "Units of an item that have no commit yet, those in work too."
)
UNITS_QUEUED = Metric(
    "curation_units_queued",
    "gauge",
    ("operator",),
    "Units that wait in front of an operator: for a worker with room, or before one that has another in hand.",
)
UNITS_IN_WORK = Metric("curation_units_in_work", "gauge", ("operator",), "Units that a worker has in hand: 0 or 1.")
WORKER_SECONDS = Metric(
    "curation_worker_seconds_total",
    "counter",
    ("operator", "device", "state"),
    "Time of a worker: busy with a unit, or waiting for one. device is gpu where it holds one.",
)
HANDED_OVER_BYTES = Metric(
    "curation_handed_over_bytes_total", "counter", ("operator",), "Bytes that a worker gave to the next operator's."
)
METRICS = (
    ROWS,
    ROWS_MEASURED,
    WRITTEN_BYTES,
    STAGE_SECONDS,
    UNITS,
    UNITS_WAITING,
    UNITS_QUEUED,
    UNITS_IN_WORK,
    WORKER_SECONDS,
    HANDED_OVER_BYTES,
)


class Meter(Protocol):
    """Takes figures. Never raises: what is lost is lost."""

    def add(self, metric: Metric, amount: float, **labels: str) -> None:
        """Adds to a counter."""

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Sets a gauge."""


class NoMeter:
    """Counts nothing."""

    def add(self, metric: Metric, amount: float, **labels: str) -> None:
        """Counts nothing."""

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Keeps nothing."""


class MeteredEvents:
    """Counts what a run tells of itself. A listener."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._of: dict[str, str] = {}
        self._waiting = 0

    def item_started(self, start: ItemStart) -> None:
        """So many units wait."""
        self._of = {"kind": start.kind, "item": start.name}
        self._wait_for(start.units - start.done)

    def unit_done(self, report: UnitReport) -> None:
        """Counts the rows of the unit. One that was set aside has none: its rows ended nowhere yet."""
        meter, of = self._meter, self._of
        meter.add(UNITS, 1, **of, result="committed" if report.error is None else "set_aside")
        self._wait_for(self._waiting - 1)
        if report.error is not None:
            return
        ends = [("kept", "", report.kept)]
        ends += [("rejected", reason, rows) for reason, rows in report.rejected.items()]
        ends += [("failed", reason, rows) for reason, rows in report.failed.items()]
        for outcome, reason, rows in ends:
            meter.add(ROWS, rows, **of, outcome=outcome, reason=reason)
        meter.add(ROWS_MEASURED, report.rows_measured, **of)
        meter.add(WRITTEN_BYTES, report.bytes_written, **of)
        for stage, seconds in report.seconds.items():
            meter.add(STAGE_SECONDS, seconds, item=of["item"], stage=stage)

    def item_ended(self, seconds: float) -> None:
        """Nothing waits any more."""
        del seconds
        self._wait_for(0)

    def _wait_for(self, units: int) -> None:
        self._waiting = units
        self._meter.set(UNITS_WAITING, units, **self._of)
