"""Walks along a plan over what a folder holds, deciding anew and measuring nothing: what a run would come to."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import polars as pl

from curation.contracts.exchange import Partitions
from curation.engine.decisions import assign, decide, read_decision
from curation.engine.earlier_rows import earlier_rows
from curation.engine.lineage import DecidedItem, Lineage, MeasuredItem
from curation.engine.live_rows import item_frame
from curation.engine.phase_work import PhaseWork, siblings_of
from curation.engine.redirected_rows import with_redirected_rows
from curation.plan.fingerprints import Fingerprints, Layout, PhasePrints
from curation.plan.phases import Decision, Phase, Plan
from curation.removals.removed_rows import REMOVAL_STEP, REMOVED
from curation.storage.layout import DecisionLayout, PhaseLayout
from curation.storage.store import Store
from schemas.outcomes import Outcome
from schemas.records import PartCommit, Removal, Revisit, RunRecord

UNMEASURED = "unmeasured"
"""The reason of rows that live on to a phase which has never measured them."""
_SCOPE = "foreseen"
_THREADS = 8
_END_TYPES = {"row": pl.Int64, "outcome": pl.String, "step": pl.String, "reason": pl.String}


@dataclass
class Foreseen:
    """What would become of each row.

    Attributes:
        kept: Whether the row would be kept: (rows,) bool.
        unmeasured: By phase, the rows that it would have to measure first; what follows cannot be told of them.
        ends: `row`, `outcome`, `step`, `reason` of all other rows.
        lineage: What was measured and decided.
    """

    kept: np.ndarray
    lineage: Lineage
    unmeasured: dict[str, np.ndarray] = field(default_factory=dict)
    ends: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_END_TYPES))

    def details(self, rows: np.ndarray) -> dict[int, str | None]:
        """The figures by which rows ended."""
        found: dict[int, str | None] = {}
        for item in self.lineage.items:
            end = _end_column(item)
            frame = item_frame(self.lineage, item).filter(pl.col("row").is_in(rows.tolist()), pl.col(end).is_not_null())
            for row, detail in frame.select("row", "detail").collect().iter_rows():
                found.setdefault(row, detail)
        return found


class Foresight:
    """Tells what runs into a folder would come to.

    Args:
        start: The lineage before the first item. Its store is written to, so it is a fork of the folder.
        layout: Which row lies where.
        record: The folder's latest run, in whose commits most rows are found.
        removals: Those of the folder.
        revisits: Those of the folder, oldest first.
        partitions: How rows are cut for exchanges that decide about groups.
    """

    def __init__(
        self,
        start: Lineage,
        layout: Layout,
        record: RunRecord,
        revisits: tuple[Revisit, ...],
        removals: tuple[Removal, ...] = (),
        partitions: Callable[[Lineage], Partitions | None] = lambda _: None,
    ) -> None:
        self._partitions = partitions
        self._start = start
        self._layout = layout
        self._revisits = revisits
        self._removals = removals
        self._commits = record.phase_commits
        self._walks = 0
        self._set_aside = {item.folder: item.quarantined for item in record.items if item.kind == "phase"}

    def layouts(self, plan: Plan) -> dict[str, PhaseLayout]:
        """Where the phases of a plan, by name, have what they measure, or would have it."""
        prints = self._prints(plan)
        found = {}
        for item in plan.items:
            if isinstance(item, Decision):
                prints.decision(item)
                continue
            both = prints.phase(item)
            layout = PhaseLayout(item.name, both.measure, both.scope)
            found[item.name] = layout
            self._end_phase(prints, both, self._start, MeasuredItem(layout, ()))
        return found

    def _prints(self, plan: Plan) -> Fingerprints:
        return Fingerprints(plan, self._layout, self._revisits, self._start.removed.fingerprint)

    def foresee(self, plan: Plan) -> Foreseen:
        """Decides along the plan over whatever was measured."""
        # What one walk has gathered lacks rows that live on in another.
        self._walks += 1
        prints = self._prints(plan)
        seen = Foreseen(np.ones(self._start.index.rows, dtype=bool), self._start, ends=_removed_ends(self._start))
        seen.kept[self._start.removed.rows] = False
        for item in plan.items:
            if isinstance(item, Phase):
                self._pass_phase(plan, seen, item, prints)
            else:
                layout = DecisionLayout(item.name, prints.decision(item))
                commit = read_decision(seen.lineage, layout) or decide(
                    seen.lineage,
                    item.exchange,
                    layout,
                    self._partitions(seen.lineage),
                    partial(prints.still_holds, item),
                )
                self._pass(seen, DecidedItem(layout, item.name, item.exchange.spec.adds, commit))
        if plan.sink is not None:
            name = plan.sink.config.step_name
            layout = DecisionLayout(name, prints.delivery(plan.sink))
            commit = read_decision(seen.lineage, layout) or assign(seen.lineage, plan.sink, layout)
            self._pass(seen, DecidedItem(layout, name, plan.sink.spec.adds, commit))
        return seen

    def _pass_phase(self, plan: Plan, seen: Foreseen, phase: Phase, prints: Fingerprints) -> None:
        both = prints.phase(phase)
        layout = PhaseLayout(phase.name, both.measure, both.scope)
        store = seen.lineage.store
        scopes = (*siblings_of(store, layout), layout)
        foreseen = replace(layout, scope=f"{_SCOPE}{self._walks}")
        work = PhaseWork(
            seen.lineage,
            phase,
            foreseen,
            tuple(scope for scope in scopes if not scope.scope.startswith(_SCOPE)),
            prints.newest_revisit,
            both.revisits,
            plan.told_by_keys(phase),
        )
        item = MeasuredItem(self._nearest(layout, store), work.columns)
        missing = seen.kept & ~_measured(seen.lineage, item, len(seen.kept))
        if missing.any():
            self._gather(work, item, seen.kept, missing)
            item = replace(item, layout=foreseen)
            missing = seen.kept & ~_measured(seen.lineage, item, len(seen.kept))
        if missing.any():
            seen.unmeasured[phase.name] = np.flatnonzero(missing)
            seen.kept &= ~missing
        before = seen.lineage
        self._pass(seen, item)
        self._end_phase(prints, both, seen.lineage, MeasuredItem(layout, ()))
        self._remove_redirected(seen, before, item, prints)

    def _remove_redirected(self, seen: Foreseen, before: Lineage, item: MeasuredItem, prints: Fingerprints) -> None:
        removed = with_redirected_rows(before, item, self._removals)
        if removed is before.removed:
            return
        prints.remove(removed.fingerprint)
        seen.lineage = replace(seen.lineage, removed=removed)
        seen.kept[removed.rows] = False
        # They may have ended in the phase, too.
        others = seen.ends.filter(~pl.col("row").is_in(pl.Series(removed.rows).implode()))
        seen.ends = pl.concat([others, _removed_ends(seen.lineage)])

    def _nearest(self, layout: PhaseLayout, store: Store) -> PhaseLayout:
        """The commits that hold most of the rows: of this very scope, or else of the latest run."""
        latest = self._commits.get(layout.folder)
        if latest is None or store.list(layout.commits):
            return layout
        return replace(layout, scope=latest.rpartition("commits-")[2])

    def _gather(self, work: PhaseWork, nearest: MeasuredItem, alive: np.ndarray, missing: np.ndarray) -> None:
        """Commits for every part, into the fork, the rows that some commit of the phase holds."""
        lineage = work.lineage
        parts = set(np.unique(np.flatnonzero(missing) // lineage.part_rows).tolist())

        def gather(part: int) -> None:
            if part not in parts:
                commit = lineage.part_commit(nearest, part)
            else:
                start, stop = lineage.bounds(part)
                earlier = earlier_rows(work, part, start + np.flatnonzero(alive[start:stop]))
                files = earlier.count(earlier.settled)
                commit = PartCommit(part=part, rows_in=len(earlier.rows), rows_measured=0, files=files)
            if commit is not None:
                lineage.store.put_if_absent(work.layout.commit(part), commit.to_bytes())

        with ThreadPoolExecutor(_THREADS) as threads:
            list(threads.map(gather, range(lineage.parts)))

    @staticmethod
    def _pass(seen: Foreseen, item: MeasuredItem | DecidedItem) -> None:
        """Moves past an item: rows that ended in it are no longer kept."""
        end = _end_column(item)
        frame = item_frame(seen.lineage, item).filter(pl.col(end).is_not_null())
        if isinstance(item, DecidedItem):
            frame = frame.with_columns(outcome=pl.lit(Outcome.REJECTED.value), step=pl.lit(item.step))
        ended = frame.select(*_END_TYPES).collect(engine="streaming")
        ended = ended.filter(pl.Series(seen.kept[ended["row"].to_numpy()]))
        seen.kept[ended["row"].to_numpy()] = False
        seen.ends = pl.concat([seen.ends, ended])
        seen.lineage = seen.lineage.then(item)

    def _end_phase(self, prints: Fingerprints, both: PhasePrints, lineage: Lineage, item: MeasuredItem) -> None:
        editions = {}
        if both.revisits:
            commits = lineage.part_commits(item)
            editions = {commit.part: commit.editions for commit in commits if commit.editions}
        prints.end_phase(both, self._set_aside.get(item.layout.folder, ()), editions)


def _end_column(item: MeasuredItem | DecidedItem) -> str:
    return "reason" if isinstance(item, DecidedItem) else "outcome"


def _removed_ends(start: Lineage) -> pl.DataFrame:
    ends = (Outcome.REJECTED.value, REMOVAL_STEP, REMOVED)
    texts = [pl.lit(text).alias(name) for name, text in zip(("outcome", "step", "reason"), ends, strict=True)]
    return pl.DataFrame({"row": start.removed.rows}, {"row": pl.Int64}).with_columns(texts)


def _measured(lineage: Lineage, item: MeasuredItem, rows: int) -> np.ndarray:
    """Which rows of the source the item knows: (rows,) bool."""
    known = np.zeros(rows, dtype=bool)
    known[item_frame(lineage, item).select("row").collect(engine="streaming")["row"].to_numpy()] = True
    return known
