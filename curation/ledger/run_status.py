"""How far a run is, told by its commits alone: while it goes on, after it ended, and after its driver died."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from curation.ledger.open_run import open_run
from curation.plan.costs import spread
from curation.storage.layout import RUN_RECORD, committed_units
from curation.storage.store import Store
from curation.storage.stored_records import parse_record
from schemas.records import DecisionCommit, PartCommit, RunItem, RunRecord, UnitCommit

SAMPLED_COMMITS = 2000
"""Of more commits than these so many are read, evenly spread, unless all are asked for."""
RATE_WINDOW_S = 600.0
QUIET_S = 60.0
_QUIET_INTERVALS = 10
_FIRST_UNIT_S = 600.0
"""So long may workers take to start and to finish the first unit of an item."""
DriverState = Literal["working", "silent", "deciding", "ended"]


@dataclass(frozen=True)
class Tally:
    """What commits count of rows. All figures are estimates if `estimated`.

    Attributes:
        counted: Whether the commits tell how rows ended; those of older versions do not.
    """

    rows_in: int = 0
    rows_measured: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    estimated: bool = False
    counted: bool = True

    @property
    def passed_on(self) -> int:
        """Rows that went on to the next item."""
        return self.rows_in - sum(self.rejected.values()) - sum(self.failed.values())


@dataclass(frozen=True)
class ItemStatus:
    """One item of the plan.

    Attributes:
        done: Units with a commit.
        set_aside: Units that failed as often as is allowed, in the latest run.
        units_per_s: Over the last ten minutes in which units were committed; None where there were not two.
        left_s: How long the rest takes at that rate.
        last: When the last unit was committed, seconds since 1970.
    """

    kind: str
    name: str
    units: int
    done: int
    set_aside: tuple[int, ...]
    rows: Tally
    units_per_s: float | None = None
    left_s: float | None = None
    last: float | None = None


@dataclass(frozen=True)
class RunStatus:
    """A run at one moment.

    Attributes:
        items: Those that have begun.
        rejected: Rows that have ended so far, by rule.
        failed: The same by reason.
        last: The last sign of life, seconds since 1970.
        driver: `working`, `silent` for longer than its pace explains, `deciding` (which gives no sign until it is
            done), or `ended`.
    """

    record: RunRecord
    items: tuple[ItemStatus, ...]
    rejected: Mapping[str, int]
    failed: Mapping[str, int]
    estimated: bool
    last: float
    driver: DriverState


class StatusReader:
    """Reads the status of a run, again and again: no commit is read twice."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._read: dict[str, PartCommit | DecisionCommit | UnitCommit] = {}

    def read(self, *, exact: bool = False, now: float | None = None) -> RunStatus:
        """The status at present.

        Args:
            exact: Read every commit, not a sample of them.

        Raises:
            RecipeError: There is no run.
            CorruptionError: A commit that is read is damaged.
        """
        store, record = open_run(self._folder)
        now = time.time() if now is None else now
        items = tuple(self._item(store, item, record, exact) for item in record.items)
        last = max([store.modified(RUN_RECORD).timestamp(), *(item.last or 0.0 for item in items)])
        return RunStatus(
            record=record,
            items=items,
            rejected=_sum([item.rows.rejected for item in items]),
            failed=_sum([item.rows.failed for item in items]),
            estimated=any(item.rows.estimated for item in items),
            last=last,
            driver=_driver(record, items, now - last),
        )

    def _item(self, store: Store, item: RunItem, record: RunRecord, exact: bool) -> ItemStatus:
        times = store.written_at(item.commits)
        if item.kind == "decision":
            times = {name: when for name, when in times.items() if name == "commit.json"}
            done = set(range(len(times)))
        else:
            done = committed_units(list(times))
        names = sorted(name for name in times if name.endswith(".json"))
        chosen = names if exact else spread(names, SAMPLED_COMMITS)
        rate = _rate(sorted(times[name] for name in names))
        left = item.units - len(done)
        return ItemStatus(
            kind=item.kind,
            name=item.name,
            units=item.units,
            done=len(done),
            set_aside=tuple(unit for unit in item.quarantined if unit not in done),
            rows=_tally(self._commits(store, item, chosen), len(names)),
            units_per_s=rate,
            left_s=left / rate if rate and left and record.state == "running" else None,
            last=max(times.values(), default=None),
        )

    def _commits(
        self, store: Store, item: RunItem, names: Sequence[str]
    ) -> list[PartCommit | DecisionCommit | UnitCommit]:
        kind: type[PartCommit | DecisionCommit | UnitCommit]
        kind = PartCommit if item.kind == "phase" else DecisionCommit if item.kind == "decision" else UnitCommit
        paths = [f"{item.commits}/{name}" for name in names]
        new = [path for path in paths if path not in self._read]
        for path, document in zip(new, store.read_many(new), strict=True):
            if document is not None:
                commit: PartCommit | DecisionCommit | UnitCommit = parse_record(store, path, document, kind)
                # Of a phase they are most of what a commit holds, and nobody counts them.
                self._read[path] = commit.model_copy(update={"files": ()}) if isinstance(commit, PartCommit) else commit
        return [self._read[path] for path in paths if path in self._read]


def _tally(commits: Sequence[PartCommit | DecisionCommit | UnitCommit], done: int) -> Tally:
    """Sums over commits, extrapolated to all that are done."""
    rows_in = measured = 0
    rejected: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    counted = True
    for commit in commits:
        if isinstance(commit, UnitCommit):
            # A shard is several files with the same rows.
            rows_in += max((file.rows for file in commit.files), default=0)
            continue
        rows_in += commit.rows_in
        rejected.update(commit.rejected or {})
        counted &= commit.rejected is not None
        if isinstance(commit, PartCommit):
            measured += commit.rows_measured
            failed.update(commit.failed or {})
    share = done / len(commits) if commits else 1.0
    return Tally(
        rows_in=round(rows_in * share),
        rows_measured=round(measured * share),
        rejected={name: round(rows * share) for name, rows in sorted(rejected.items())},
        failed={name: round(rows * share) for name, rows in sorted(failed.items())},
        estimated=share != 1.0,
        counted=counted,
    )


def _sum(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total.most_common())


def _rate(times: Sequence[float]) -> float | None:
    """Units a second over the last minutes of work.

    Args:
        times: When each was committed, ascending.
    """
    recent = [when for when in times if when >= times[-1] - RATE_WINDOW_S]
    seconds = recent[-1] - recent[0] if recent else 0.0
    return (len(recent) - 1) / seconds if seconds > 0 else None


def _driver(record: RunRecord, items: Sequence[ItemStatus], silence_s: float) -> DriverState:
    if record.state != "running":
        return "ended"
    present = items[-1] if items else None
    if present is not None and present.kind == "decision" and not present.done:
        return "deciding"
    if present is None or not present.done or present.units_per_s is None:
        patience = _FIRST_UNIT_S
    else:
        patience = max(QUIET_S, _QUIET_INTERVALS / present.units_per_s)
    return "working" if silence_s <= patience else "silent"
