"""Progress of a run: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from curation.engine.events import ItemStart
from schemas.records import UnitReport

PLAIN_EVERY_S = 5.0


class _Tally:
    """Sums over the units of an item."""

    def __init__(self, start: ItemStart) -> None:
        self.start = start
        self.began = time.monotonic()
        self.units = start.done
        self.rows = 0
        self.kept = 0
        self.failed = 0
        self.rejected = 0
        self.set_aside = 0
        self.asked_again = 0
        self.unchanged = 0

    def add(self, report: UnitReport) -> None:
        self.units += 1
        self.rows += report.rows_in
        self.kept += report.kept
        self.failed += sum(report.failed.values())
        self.rejected += sum(report.rejected.values())
        self.set_aside += report.error is not None
        if report.revisited is not None:
            self.asked_again += report.revisited.asked
            self.unchanged += report.revisited.unchanged

    @property
    def rows_per_s(self) -> float:
        return self.rows / max(time.monotonic() - self.began, 1e-9)

    @property
    def left_s(self) -> float | None:
        worked = self.units - self.start.done
        if not worked:
            return None
        return (self.start.units - self.units) * (time.monotonic() - self.began) / worked

    def numbers(self) -> str:
        text = f"{self.rows_per_s:,.0f} rows/s, kept {self.kept:,}, rejected {self.rejected:,}, failed {self.failed:,}"
        if self.asked_again:
            text += f", asked again {self.asked_again:,}, unchanged {self.unchanged:,}"
        return text + (f", set aside {self.set_aside}" if self.set_aside else "")


class PlainProgress:
    """A line when an item starts, every few seconds, and when it ends."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tally: _Tally | None = None
        self._told = 0.0

    def _say(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()

    def item_started(self, start: ItemStart) -> None:
        """Says what begins, and how much of it was done before."""
        self._tally = _Tally(start)
        self._told = time.monotonic()
        before = f", {start.done} done before" if start.done else ""
        self._say(f"{start.kind} {start.name}: {start.units} units{before}")

    def unit_done(self, report: UnitReport) -> None:
        """Says how far it is, if the last word is a while ago."""
        if self._tally is None:
            return
        self._tally.add(report)
        if report.error is not None:
            self._say(f"  unit {report.unit} is set aside: {report.error}")
        if time.monotonic() - self._told >= PLAIN_EVERY_S:
            self._told = time.monotonic()
            left = self._tally.left_s
            rest = f", {left:,.0f} s left" if left is not None else ""
            self._say(f"  {self._tally.units}/{self._tally.start.units} units, {self._tally.numbers()}{rest}")

    def item_ended(self, seconds: float) -> None:
        """Says what came of it."""
        if self._tally is None:
            return
        numbers = self._tally.numbers() if self._tally.units > self._tally.start.done else "nothing to do"
        self._say(f"  done in {seconds:.1f} s: {numbers}")


class LiveProgress:
    """A bar for each item, on a terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task: TaskID | None = None
        self._tally: _Tally | None = None

    def item_started(self, start: ItemStart) -> None:
        """Shows a bar."""
        self._progress.start()
        self._tally = _Tally(start)
        self._task = self._progress.add_task(
            f"{start.kind} {start.name}", total=start.units, completed=start.done, numbers=""
        )

    def unit_done(self, report: UnitReport) -> None:
        """Moves the bar."""
        if self._tally is None or self._task is None:
            return
        self._tally.add(report)
        if report.error is not None:
            self._progress.console.print(f"unit {report.unit} is set aside: {report.error}", style="red", markup=False)
        self._progress.update(self._task, completed=self._tally.units, numbers=self._tally.numbers())

    def item_ended(self, seconds: float) -> None:
        """Leaves the full bar with its figures."""
        if self._task is not None and self._tally is not None:
            worked = self._tally.units > self._tally.start.done
            numbers = f"{seconds:.1f} s, {self._tally.numbers()}" if worked else "nothing to do"
            self._progress.update(self._task, completed=self._tally.start.units, numbers=numbers)

    def stop(self) -> None:
        """Gives the terminal back."""
        self._progress.stop()
