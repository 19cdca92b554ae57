"""Carries out a plan: every item in turn, each resumed where an earlier run left it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import yaml

from curation.engine.decisions import assign, decide, read_decision
from curation.engine.delivery_operator import DeliveryOperator
from curation.engine.events import ItemStart, Listener
from curation.engine.ledger_operator import LedgerOperator
from curation.engine.lineage import DecidedItem, Lineage, MeasuredItem
from curation.engine.operator import Operator, Runner
from curation.engine.phase_operators import PhaseWork, phase_operators
from curation.plan.fingerprints import Fingerprints, layout_fingerprint
from curation.plan.phases import Decision, Phase, Plan
from curation.recipe.model import Recipe
from curation.runtime.in_process import InProcessRunner
from curation.storage.layout import (
    RECIPE,
    RUN_RECORD,
    SOURCE_WORKSPACE,
    DecisionLayout,
    PhaseLayout,
    UnitsLayout,
    committed_units,
)
from curation.storage.store import Store
from schemas.records import DecisionCommit, FileRecord, RunItem, RunRecord, UnitCommit, UnitReport

LIGHT_UNITS = {"delivery": 2, "ledger": 256}
"""Up to so many units are written in this process: starting workers would take longer than the work."""


@dataclass(frozen=True)
class RunResult:
    """What a run came to: `quarantined` are (phase, part) that failed as often as is allowed."""

    rows: int
    ledger: str
    shards: str | None
    quarantined: tuple[tuple[str, int], ...] = ()


@dataclass
class Run:
    """One carrying out of a plan into a folder."""

    recipe: Recipe
    plan: Plan
    store: Store
    runner: Runner
    listener: Listener
    _items: list[RunItem] = field(default_factory=list)
    _quarantined: list[tuple[str, int]] = field(default_factory=list)
    _record: RunRecord | None = None

    def execute(self) -> RunResult:
        """Does whatever is not committed yet.

        Raises:
            CurationError: Something wrong that trying again does not mend.
        """
        source = self.recipe.source
        index = source.index(self.store.child(SOURCE_WORKSPACE))
        settings = self.recipe.run
        lineage = Lineage(self.store, source, index, settings.part_rows)
        self._save_recipe()
        self._record = RunRecord(
            recipe=self.recipe.name,
            state="running",
            rows=index.rows,
            parts=lineage.parts,
            part_rows=settings.part_rows,
        )
        prints = Fingerprints(self.plan, layout_fingerprint(index.fingerprint, settings.part_rows))
        for item in self.plan.items:
            lineage = (
                self._measure(item, lineage, prints) if isinstance(item, Phase) else self._decide(item, lineage, prints)
            )
        shards = None
        delivered = prints.chain
        if self.plan.sink is not None:
            delivered = prints.delivery(self.plan.sink)
            lineage, shards = self._deliver(lineage, delivered)
        ledger = self._write_ledger(lineage, delivered)
        self._save("finished", ledger=ledger, shards=shards)
        return RunResult(index.rows, ledger, shards, tuple(self._quarantined))

    def interrupted(self) -> None:
        """Notes that the run was ended on purpose; everything committed is kept."""
        if self._record is not None:
            self._save("interrupted")

    def _measure(self, phase: Phase, lineage: Lineage, prints: Fingerprints) -> Lineage:
        both = prints.phase(phase)
        layout = PhaseLayout(phase.name, both.measure, both.scope)
        work = PhaseWork(lineage, phase, layout, self._siblings(layout))
        quarantined = self._run_units("phase", phase.name, phase_operators(work), lineage.parts, layout.commits)
        self._quarantined.extend((phase.name, part) for part in quarantined)
        self._note(
            RunItem(
                kind="phase",
                name=phase.name,
                folder=layout.folder,
                commits=layout.commits,
                units=lineage.parts,
                columns=work.columns,
                quarantined=quarantined,
            )
        )
        prints.end_phase(both, quarantined)
        return lineage.then(MeasuredItem(layout, work.columns))

    def _siblings(self, layout: PhaseLayout) -> tuple[PhaseLayout, ...]:
        names = [
            name.removeprefix("commits-") for name in self.store.list(layout.folder) if name.startswith("commits-")
        ]
        return tuple(replace(layout, scope=scope) for scope in names if scope != layout.scope)

    def _decide(self, decision: Decision, lineage: Lineage, prints: Fingerprints) -> Lineage:
        layout = DecisionLayout(decision.name, prints.decision(decision))
        commit = self._decided(layout, lineage, lambda: decide(lineage, decision.exchange, layout))
        return lineage.then(DecidedItem(layout, decision.name, decision.exchange.spec.adds, commit))

    def _decided(self, layout: DecisionLayout, lineage: Lineage, make: Callable[[], DecisionCommit]) -> DecisionCommit:
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
        self._note(RunItem(kind="decision", name=layout.name, folder=layout.folder, commits=layout.folder, units=1))
        return commit

    def _deliver(self, lineage: Lineage, fingerprint: str) -> tuple[Lineage, str]:
        sink = self.plan.sink
        if sink is None:
            raise AssertionError("called with a sink alone")
        name = sink.config.step_name
        places = DecisionLayout(name, fingerprint)
        commit = self._decided(places, lineage, lambda: assign(lineage, sink, places))
        layout = UnitsLayout("shards", fingerprint)
        units = commit.units or 0
        operator = DeliveryOperator(lineage, sink, layout, commit, places.folder)
        failed = self._run_units("delivery", name, [operator], units, layout.commits)
        self._quarantined.extend((name, unit) for unit in failed)
        if not failed:
            sink.finish([self._unit_files(layout, unit) for unit in range(units)], self.store.child(layout.folder))
        self._note(
            RunItem(
                kind="delivery",
                name=name,
                folder=layout.folder,
                commits=layout.commits,
                units=units,
                quarantined=failed,
            )
        )
        return lineage.then(DecidedItem(places, name, sink.spec.adds, commit)), layout.folder

    def _unit_files(self, layout: UnitsLayout, unit: int) -> list[FileRecord]:
        return list(UnitCommit.model_validate_json(self.store.read_bytes(layout.commit(unit))).files)

    def _write_ledger(self, lineage: Lineage, fingerprint: str) -> str:
        layout = UnitsLayout("ledger", fingerprint)
        operator = LedgerOperator(lineage, layout)
        failed = self._run_units("ledger", "ledger", [operator], lineage.parts, layout.commits)
        self._quarantined.extend(("ledger", part) for part in failed)
        self._note(
            RunItem(
                kind="ledger",
                name="ledger",
                folder=layout.folder,
                commits=layout.commits,
                units=lineage.parts,
                quarantined=failed,
            )
        )
        return layout.folder

    def _run_units(
        self,
        kind: Literal["phase", "delivery", "ledger"],
        name: str,
        operators: Sequence[Operator],
        units: int,
        commits: str,
    ) -> tuple[int, ...]:
        """Runs the units that have no commit; returns those that failed."""
        begin = time.monotonic()
        done = committed_units(self.store.list(commits))
        missing = [unit for unit in range(units) if unit not in done]
        failed: list[int] = []
        self.listener.item_started(ItemStart(kind, name, units, units - len(missing)))

        def on_report(report: UnitReport) -> None:
            if report.error is not None:
                failed.append(report.unit)
            self.listener.unit_done(report)

        if missing:
            light = len(missing) <= LIGHT_UNITS.get(kind, 0)
            runner = InProcessRunner(self.recipe.run.max_tries) if light else self.runner
            runner.run(operators, missing, on_report)
        self.listener.item_ended(time.monotonic() - begin)
        return tuple(sorted(failed))

    def _note(self, item: RunItem) -> None:
        self._items.append(item)
        self._save("running")

    def _save(
        self,
        state: Literal["running", "finished", "interrupted"],
        ledger: str | None = None,
        shards: str | None = None,
    ) -> None:
        if self._record is None:
            raise AssertionError("the record is made when a run begins")
        record = self._record.model_copy(
            update={"state": state, "items": tuple(self._items), "ledger": ledger, "shards": shards}
        )
        self.store.write_bytes(RUN_RECORD, record.to_bytes())

    def _save_recipe(self) -> None:
        text = yaml.safe_dump(self.recipe.resolved(), sort_keys=False, allow_unicode=True)
        self.store.write_bytes(RECIPE, text.encode())
