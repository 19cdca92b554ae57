"""Carries out a plan: every item in turn, each resumed where an earlier run left it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import yaml

from curation.contracts.exchange import Partitions
from curation.engine.decisions import assign, decide, read_decision
from curation.engine.delivery_operator import DeliveryOperator
from curation.engine.events import ItemStart, Listener
from curation.engine.grouping import partitions_for
from curation.engine.ledger_operator import LedgerOperator
from curation.engine.lineage import DecidedItem, Lineage, MeasuredItem
from curation.engine.operator import Operator, Runner
from curation.engine.part_commit import commit_taken_over
from curation.engine.phase_operators import phase_operators
from curation.engine.phase_work import PhaseWork, measured_otherwise, siblings_of
from curation.engine.redirected_rows import with_redirected_rows
from curation.engine.revisits import RevisitRequest, Revisits
from curation.engine.run_journal import RunJournal, latest_run
from curation.errors import CorruptionError, CurationError
from curation.plan.checks import check_source_columns
from curation.plan.costs import MeasuredCosts, measured_costs
from curation.plan.fingerprints import Fingerprints, Layout, layout_of
from curation.plan.phases import Decision, Phase, Plan
from curation.plan.pools import ResourcePlan, plan_resources
from curation.recipe.model import Recipe
from curation.removals.records import Removals
from curation.removals.removed_rows import removed_rows
from curation.runtime.in_process import InProcessRunner
from curation.storage.layout import (
    RECIPE,
    SOURCE_WORKSPACE,
    WORKSPACE,
    DecisionLayout,
    PhaseLayout,
    UnitsLayout,
    committed_units,
    version_recipe,
)
from curation.storage.probe import check_store
from curation.storage.store import Store
from curation.storage.stored_records import read_records
from schemas.records import DecisionCommit, FileRecord, Revisit, Revisited, RunItem, RunRecord, UnitCommit, UnitReport

logger = logging.getLogger(__name__)

LIGHT_ROWS = {
    "phase": 0,
    "deciding": 100_000,
    "taking_over": 500_000,
    "delivery": 10_000,
    "ledger": 500_000,
}
"""Up to so many rows are worked on in this process: starting workers would take longer than the work."""
_LIGHT_THREADS = 4
_COMMITS_AT_A_TIME = 10_000
"""Commits that are held in memory at once: some tens of megabytes."""


@dataclass(frozen=True)
class RunResult:
    """What a run came to.

    Attributes:
        quarantined: (phase, part) that failed as often as is allowed.
        revisit: The retry or refresh that the run carried out to its end, None if there was none.
        revisited: What came of it, whichever run did it.
    """

    rows: int
    ledger: str
    shards: str | None
    quarantined: tuple[tuple[str, int], ...] = ()
    revisit: Revisit | None = None
    revisited: Revisited = field(default_factory=Revisited)


@dataclass
class Run:
    """One carrying out of a plan into a folder.

    Attributes:
        request: What to ask again for.
        wrap: What is put around each operator, to trace it.
        announce: Is told what the plan needs of the runner's cluster, before workers are started for the first time.
    """

    recipe: Recipe
    plan: Plan
    store: Store
    runner: Runner
    listener: Listener
    request: RevisitRequest | None = None
    announce: Callable[[ResourcePlan], None] | None = None
    wrap: Callable[[Operator], Operator] | None = None
    _journal: RunJournal | None = None
    _latest: dict[str, str] = field(default_factory=dict)
    _revisited: Revisited = field(default_factory=Revisited)
    _from_the_end: bool = False
    _costs: MeasuredCosts = field(default_factory=MeasuredCosts)
    _planned: bool = False

    def execute(self) -> RunResult:
        """Does whatever is not committed yet.

        Raises:
            RecipeError: The folder cannot be written, the source cannot be read, or a stage cannot read its columns.
            CurationError: Something wrong that trying again does not mend.
        """
        check_store(self.store, single_writer=self.recipe.run.single_writer)
        removals = Removals(self.store)
        removals.check_finished()
        source = self.recipe.source
        index = source.index(self.store.child(SOURCE_WORKSPACE))
        check_source_columns(self.recipe, index.columns)
        settings = self.recipe.run
        removed = removed_rows(self.store, source, index, removals.known)
        lineage = Lineage(self.store, source, index, settings.part_rows, removed=removed)
        layout = layout_of(source, index, settings.part_rows)
        revisits = self._revisits(layout)
        self._learn_of_earlier_runs()
        self.store.write_bytes(RECIPE, self._recipe_text())
        record = RunRecord(
            recipe=self.recipe.name,
            state="running",
            source=index.fingerprint,
            rows=index.rows,
            parts=lineage.parts,
            part_rows=settings.part_rows,
            revisit=revisits.open,
            removals=len(removals.known),
        )
        journal = self._journal = RunJournal(self.store, self.plan, record)
        prints = Fingerprints(self.plan, layout, revisits.known, removed.fingerprint)
        for item in self.plan.items:
            if isinstance(item, Decision):
                lineage = self._decide(item, lineage, prints)
            else:
                lineage = self._measure(item, lineage, prints, removals)
        lineage, delivered, shards = self._delivered(lineage, prints)
        ledger = self._write_ledger(lineage, delivered)
        # Once: its time is when the version was finished first.
        self.store.put_if_absent(version_recipe(delivered), self._recipe_text())
        revisits.end()
        if len(lineage.removed.rows):
            # A text source was copied there, with the rows that are to leave no trace; it is copied again when needed.
            self.store.delete_folder(SOURCE_WORKSPACE)
        journal.save("finished", ledger=ledger, shards=shards)
        return RunResult(index.rows, ledger, shards, tuple(journal.quarantined), record.revisit, self._revisited)

    def _learn_of_earlier_runs(self) -> None:
        if (latest := latest_run(self.store)) is not None:
            # It was killed, or goes on at this moment.
            self._from_the_end = latest.state == "running"
            self._latest = latest.phase_commits
        self._costs = measured_costs(self.store)

    def _delivered(self, lineage: Lineage, prints: Fingerprints) -> tuple[Lineage, str, str | None]:
        """The lineage, the fingerprint of what was decided and delivered, and the folder of shards."""
        if self.plan.sink is None:
            return lineage, prints.chain, None
        fingerprint = prints.delivery(self.plan.sink)
        lineage, shards = self._deliver(lineage, fingerprint)
        return lineage, fingerprint, shards

    def _revisits(self, layout: Layout) -> Revisits:
        revisits = Revisits(self.store, self.plan, layout)
        if self.request is not None:
            revisits.request(self.request)
        return revisits

    def interrupted(self) -> None:
        """Notes that the run was ended on purpose; everything committed is kept."""
        if self._journal is not None:
            self._journal.save("interrupted")

    @property
    def _noted(self) -> RunJournal:
        if self._journal is None:
            raise AssertionError("the journal is begun when a run begins")
        return self._journal

    def _measure(self, phase: Phase, lineage: Lineage, prints: Fingerprints, removals: Removals) -> Lineage:
        both = prints.phase(phase)
        layout = PhaseLayout(phase.name, both.measure, both.scope)
        if measured_otherwise(self.store, layout):
            logger.warning(
                "%s: all of it is measured anew: what lies in the folder was measured with other settings, of this or "
                "an earlier step, or in other parts",
                phase.name,
            )
        work = PhaseWork(
            lineage,
            phase,
            layout,
            siblings_of(self.store, layout, self._latest.get(layout.folder)),
            prints.newest_revisit,
            both.revisits,
            self.plan.told_by_keys(phase),
            self._costs,
        )
        item = RunItem(
            kind="phase",
            name=phase.name,
            folder=layout.folder,
            commits=layout.commits,
            units=lineage.parts,
            columns=work.columns,
        )
        deciding = all(stage.spec.decides for stage in phase.stages)
        quarantined = self._run_units(
            item,
            phase_operators(work, self.recipe.run.placement),
            light=lineage.index.rows <= LIGHT_ROWS["deciding" if deciding else "phase"],
            take_over=self._take_over(work),
        )
        measured = MeasuredItem(layout, work.columns, frozenset(quarantined))
        prints.end_phase(both, quarantined, self._editions(lineage, measured) if both.revisits else {})
        removed = with_redirected_rows(lineage, measured, removals.known)
        if removed is not lineage.removed:
            prints.remove(removed.fingerprint)
        return replace(lineage.then(measured), removed=removed)

    def _editions(self, lineage: Lineage, measured: MeasuredItem) -> dict[int, str]:
        """Of the parts in which a revisit changed something: which rows, as a fingerprint."""
        editions = {}
        for start in range(0, lineage.parts, _COMMITS_AT_A_TIME):
            commits = lineage.part_commits(measured, range(start, min(start + _COMMITS_AT_A_TIME, lineage.parts)))
            self._revisited = sum((commit.revisited for commit in commits if commit.revisited), self._revisited)
            editions.update({commit.part: commit.editions for commit in commits if commit.editions})
        return editions

    def _take_over(self, work: PhaseWork) -> Callable[[int], UnitReport | None] | None:
        """How to commit, without a worker, a part that was measured whole under another scope."""
        if not work.siblings or work.lineage.index.rows > LIGHT_ROWS["taking_over"]:
            return None
        return partial(commit_taken_over, work)

    def _decide(self, decision: Decision, lineage: Lineage, prints: Fingerprints) -> Lineage:
        layout = DecisionLayout(decision.name, prints.decision(decision))
        still_holds = partial(prints.still_holds, decision)
        commit = self._decided(
            layout, lineage, lambda: decide(lineage, decision.exchange, layout, self._partitions(lineage), still_holds)
        )
        return lineage.then(DecidedItem(layout, decision.name, decision.exchange.spec.adds, commit))

    def _partitions(self, lineage: Lineage) -> Partitions | None:
        cut = self.runner.partitions
        return partitions_for(lineage, self.recipe.run.partition_rows, self.store.child(WORKSPACE), cut)

    def _decided(self, layout: DecisionLayout, lineage: Lineage, make: Callable[[], DecisionCommit]) -> DecisionCommit:
        self._noted.begin(
            RunItem(kind="decision", name=layout.name, folder=layout.folder, commits=layout.folder, units=1)
        )
        commit = read_decision(lineage, layout)
        begin = time.monotonic()
        self.listener.item_started(ItemStart("decision", layout.name, 1, int(commit is not None)))
        if commit is None:
            commit = make()
            report = UnitReport(
                unit=0,
                rows_in=commit.rows_in,
                rows_measured=commit.rows_in,
                kept=commit.rows_in - sum(commit.rejected.values()),
                rejected=commit.rejected,
                bytes_written=commit.file.size_bytes,
            )
            self.listener.unit_done(report)
        self.listener.item_ended(time.monotonic() - begin)
        return commit

    def _deliver(self, lineage: Lineage, fingerprint: str) -> tuple[Lineage, str | None]:
        """The lineage with the places, and the folder of the shards, None where one of them could not be written."""
        sink = self.plan.sink
        if sink is None:
            raise AssertionError("called with a sink alone")
        name = sink.config.step_name
        places = DecisionLayout(name, fingerprint)
        commit = self._decided(places, lineage, lambda: assign(lineage, sink, places))
        layout = UnitsLayout("shards", fingerprint)
        units = commit.units or 0
        item = RunItem(kind="delivery", name=name, folder=layout.folder, commits=layout.commits, units=units)
        operator = DeliveryOperator(lineage, sink, layout, commit, places.folder)
        operator.resources = replace(operator.resources, placement=self.recipe.run.placement.get(name))
        light = commit.rows_in - sum(commit.rejected.values()) <= LIGHT_ROWS["delivery"]
        failed = self._run_units(item, [operator], light=light)
        if not failed:
            sink.finish(self._unit_files(layout, units), self.store.child(layout.folder))
        delivered = lineage.then(DecidedItem(places, name, sink.spec.adds, commit))
        return delivered, None if failed else layout.folder

    def _unit_files(self, layout: UnitsLayout, units: int) -> list[list[FileRecord]]:
        """The files of each unit. Their commits are read many at a time: there may be tens of thousands."""
        paths = [layout.commit(unit) for unit in range(units)]
        commits = read_records(self.store, paths, UnitCommit)
        gone = [path for path in paths if path not in commits]
        if gone:
            raise CorruptionError(f"{self.store.locate(gone[0])}: was committed but is gone (and {len(gone) - 1} more)")
        return [list(commits[path].files) for path in paths]

    def _write_ledger(self, lineage: Lineage, fingerprint: str) -> str:
        layout = UnitsLayout("ledger", fingerprint)
        item = RunItem(kind="ledger", name="ledger", folder=layout.folder, commits=layout.commits, units=lineage.parts)
        light = lineage.index.rows <= LIGHT_ROWS["ledger"]
        failed = self._run_units(item, [LedgerOperator(lineage, layout)], light=light)
        if failed:
            # Without these parts the ledger would not have every row: there is no such thing as most of a ledger.
            raise CurationError(f"the ledger of part {failed[0]} cannot be written (and of {len(failed) - 1} more)")
        return layout.folder

    def _run_units(
        self,
        item: RunItem,
        operators: Sequence[Operator],
        *,
        light: bool,
        take_over: Callable[[int], UnitReport | None] | None = None,
    ) -> tuple[int, ...]:
        """Runs the units that have no commit; returns those that failed.

        Args:
            light: Run them in this process.
            take_over: Commits a unit that needs no work, or returns None.
        """
        self._noted.begin(item)
        begin = time.monotonic()
        done = committed_units(self.store.list(item.commits))
        missing = [unit for unit in range(item.units) if unit not in done]
        if self._from_the_end:
            # A run that goes on beside this one works from the start: the two meet, and skip what the other has done.
            missing.reverse()
        failed: list[int] = []
        self.listener.item_started(ItemStart(item.kind, item.name, item.units, item.units - len(missing)))

        def on_report(report: UnitReport) -> None:
            if report.error is not None:
                failed.append(report.unit)
                self._noted.note_failed(item, failed)
            self.listener.unit_done(report)

        left = []
        for unit in missing:
            if take_over and (report := take_over(unit)):
                on_report(report)
            else:
                left.append(unit)
        missing = left
        if missing:
            # Shards and ledgers keep nothing of one unit for the next; stages may.
            threads = 1 if item.kind == "phase" else min(_LIGHT_THREADS, len(os.sched_getaffinity(0)))
            settings = self.recipe.run
            local = InProcessRunner(settings.max_tries, threads, grace_s=settings.grace_s)
            runner = local if light else self._cluster_runner()
            runner.run([self.wrap(each) for each in operators] if self.wrap else operators, missing, on_report)
        self.listener.item_ended(time.monotonic() - begin)
        set_aside = tuple(sorted(failed))
        self._noted.end(item, set_aside)
        return set_aside

    def _cluster_runner(self) -> Runner:
        """The runner; at its first use, whatever is left to do is held against what it has."""
        nodes = None if self._planned else self.runner.capacity()
        self._planned = True
        if nodes is not None:
            resources = plan_resources(
                self.plan,
                nodes,
                self._costs,
                part_rows=self.recipe.run.part_rows,
                rows=self._noted.record.rows,
                max_workers=self.recipe.run.max_workers,
                placement=self.recipe.run.placement,
            )
            resources.check(self._costs.begun)
            if self.announce is not None:
                self.announce(resources)
        return self.runner

    def _recipe_text(self) -> bytes:
        return yaml.safe_dump(self.recipe.resolved(), sort_keys=False, allow_unicode=True).encode()
