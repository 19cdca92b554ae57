"""How long things take: a worker's own time as figures for Prometheus, and the time in steps as reports tell it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence

from curation.engine.meters import HANDED_OVER_BYTES, UNITS_IN_WORK, WORKER_SECONDS, Meter
from curation.engine.operator import Handover, Operator
from schemas.records import UnitReport


class WorkerTimes:
    """Counts the time that a worker is busy, and the time that it waits for its next unit."""

    def __init__(self, meter: Meter, operator: Operator) -> None:
        self._meter = meter
        self._operator = operator.name
        self._device = "gpu" if operator.resources.gpus else "cpu"
        self._since = time.monotonic()

    def wait(self) -> None:
        """The worker is ready for its first unit."""
        self._since = time.monotonic()

    def begin(self) -> None:
        """It has got a unit."""
        self._count("waiting")
        self._meter.set(UNITS_IN_WORK, 1, operator=self._operator)

    def end(self, handover: Handover) -> None:
        """It is done with it."""
        self._count("busy")
        self._meter.set(UNITS_IN_WORK, 0, operator=self._operator)
        if handover.table is not None:
            self._meter.add(HANDED_OVER_BYTES, handover.table.nbytes, operator=self._operator)

    def _count(self, state: str) -> None:
        now = time.monotonic()
        self._meter.add(WORKER_SECONDS, now - self._since, operator=self._operator, device=self._device, state=state)
        self._since = now


class StepTimes:
    """Sums up the time in each step over reports, which it passes on."""

    def __init__(self, on_report: Callable[[UnitReport], None]) -> None:
        self._on_report = on_report
        self._seconds: dict[str, float] = defaultdict(float)
        self._rows = 0

    def hear(self, report: UnitReport) -> None:
        """Adds a report."""
        if report.rows_measured:
            self._rows += report.rows_measured
            for step, seconds in report.seconds.items():
                self._seconds[step] += seconds
        self._on_report(report)

    def row_seconds(self, steps: Sequence[str]) -> float | None:
        """Time of a row in these steps together; None where one of them told nothing."""
        if not self._rows or not steps or any(step not in self._seconds for step in steps):
            return None
        return sum(self._seconds[step] for step in steps) / self._rows
