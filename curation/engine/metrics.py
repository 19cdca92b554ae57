"""The metrics of a run: one JSON line for each item and unit, apart from what the console shows."""

from __future__ import annotations

import json
import time
from typing import Any

from curation.engine.events import ItemStart
from curation.storage.store import Store
from schemas.records import UnitReport


class MetricsStream:
    """Writes `metrics/<run>-<n>-<item>.jsonl`, one file for each item of the plan.

    An object store cannot append, so the lines of an item are put there when it ends.
    """

    def __init__(self, store: Store, run: str) -> None:
        self._store = store
        self._run = run
        self._items = 0
        self._lines: list[str] = []
        self._start: ItemStart | None = None

    def item_started(self, start: ItemStart) -> None:
        """Opens the file of an item."""
        self._start = start
        self._items += 1
        self._lines = []
        self._add(event="start", units=start.units, done=start.done)

    def unit_done(self, report: UnitReport) -> None:
        """One line for the unit: rows in, kept, rejected by rule, failed by reason, bytes, seconds."""
        self._add(event="unit", **report.model_dump(mode="json", exclude={"spans"}))

    def item_ended(self, seconds: float) -> None:
        """Writes the file."""
        self._add(event="end", seconds=round(seconds, 3))
        if self._start is None:
            raise AssertionError("an item ends that never started")
        name = f"metrics/{self._run}-{self._items:02d}-{self._start.name}.jsonl"
        self._store.write_bytes(name, "".join(self._lines).encode())

    def _add(self, **values: Any) -> None:
        start = self._start
        head = (
            {"time": round(time.time(), 3), "run": self._run, "item": start.name, "kind": start.kind} if start else {}
        )
        self._lines.append(json.dumps({**head, **values}) + "\n")
