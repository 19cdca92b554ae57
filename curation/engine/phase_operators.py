"""Measuring a part: read what is alive and not yet measured, run the stages, write one file, commit."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.contracts.resources import Resources
from curation.contracts.stage import Stage
from curation.engine.lineage import Lineage, MeasuredItem
from curation.engine.operator import Handover, Operator
from curation.engine.stage_chain import END_COLUMNS, StageChain
from curation.errors import TransientError
from curation.plan.phases import Phase
from curation.storage.column_groups import read_columns, write_columns
from curation.storage.layout import PhaseLayout
from curation.storage.store import Store
from schemas.columns import schema_of
from schemas.outcomes import Outcome
from schemas.records import FileRecord, PartCommit, UnitReport

_SECONDS = b"seconds"
"""Key in the metadata of a table that is handed to the next operator."""


@dataclass(frozen=True)
class PhaseWork:
    """What every operator of a phase knows.

    Attributes:
        lineage: Everything before the phase.
        siblings: Folders of commits of the same measure under other scopes, whose rows are taken over.
    """

    lineage: Lineage
    phase: Phase
    layout: PhaseLayout
    siblings: tuple[PhaseLayout, ...] = ()

    @property
    def store(self) -> Store:
        """Rooted at the folder of the phase."""
        return self.lineage.store.child(self.layout.folder)

    @property
    def columns(self) -> tuple[str, ...]:
        """What the phase writes, beside `row` and `key`."""
        return (*self.phase.persists, *self.phase.adds, *END_COLUMNS)


def phase_operators(work: PhaseWork) -> list[Operator]:
    """The operators of a phase: consecutive stages share one where they need the same kind of device."""
    groups: list[list[Stage]] = [[]]
    for stage in work.phase.stages:
        if groups[-1] and (groups[-1][-1].spec.resources.gpus > 0) != (stage.spec.resources.gpus > 0):
            groups.append([])
        groups[-1].append(stage)
    later: set[str] = set()
    operators: list[Operator] = []
    for index in range(len(groups) - 1, -1, -1):
        first, last = index == 0, index == len(groups) - 1
        operators.insert(0, PhaseOperator(work, groups[index], frozenset(later), first=first, last=last))
        later |= {name for stage in groups[index] for name in stage.spec.requires}
    return operators


def _joint_resources(stages: Sequence[Stage]) -> Resources:
    needs = [stage.spec.resources for stage in stages] or [Resources()]
    memory = [need.memory_bytes for need in needs if need.memory_bytes]
    return Resources(
        cpus=max(need.cpus for need in needs),
        gpus=max(need.gpus for need in needs),
        memory_bytes=sum(memory) or None,
    )


class PhaseOperator(Operator):
    """One worker's share of a phase. The first one reads the part, the last one commits it."""

    def __init__(
        self, work: PhaseWork, stages: Sequence[Stage], needed_later: frozenset[str], *, first: bool, last: bool
    ) -> None:
        self.name = "-".join(stage.config.step_name for stage in stages) or work.phase.name
        self.resources = _joint_resources(stages)
        self._work = work
        self._chain = StageChain(stages, needed_later)
        self._first = first
        self._last = last

    def setup(self) -> None:
        """Sets up the stages."""
        self._chain.setup()

    def close(self) -> None:
        """Closes the stages."""
        self._chain.close()

    def run(self, unit: int, table: pa.Table | None) -> Handover:
        """Measures what is missing of a part and commits it."""
        rows = self._work.lineage.live_rows(unit) if self._first or self._last else np.empty(0, np.int64)
        if self._first or table is None:
            taken = _take_over(self._work, unit, rows)
            missing = rows[~np.isin(rows, taken.rows, assume_unique=True)]
            if not len(missing) and taken.files:
                return self._commit(unit, rows, taken, None)
            table = self._work.lineage.columns_of(unit, missing, (*self._work.phase.needs, *self._work.phase.persists))
        before = _seconds_of(table)
        done = self._chain.run(table, unit)
        seconds = {**before, **{name: round(spent, 4) for name, spent in self._chain.seconds.items()}}
        if not self._last:
            return Handover(table=done.replace_schema_metadata({_SECONDS: json.dumps(seconds)}))
        if not self._first:
            taken = _take_over(self._work, unit, rows, done["row"].to_numpy())
        return self._commit(unit, rows, taken, done, seconds)

    def _commit(
        self,
        part: int,
        rows: np.ndarray,
        taken: _TakenOver,
        done: pa.Table | None,
        seconds: dict[str, float] | None = None,
    ) -> Handover:
        store, layout = self._work.store, self._work.layout
        files = list(taken.files)
        written: FileRecord | None = None
        if done is not None:
            written = write_columns(store, layout.data(part, uuid.uuid4().hex[:12]), _ordered(done, self._work.columns))
            files.append(written)
        commit = PartCommit(
            part=part, rows_in=len(rows), rows_measured=written.rows if written else 0, files=tuple(files)
        )
        won = self._work.lineage.store.put_if_absent(layout.commit(part), commit.to_bytes())
        if not won and written is not None:
            store.delete(written.path)
        return Handover(report=self._report(part, rows, written, seconds or {}))

    def _report(self, part: int, rows: np.ndarray, written: FileRecord | None, seconds: dict[str, float]) -> UnitReport:
        """Counts what the winning commit holds: a lost race changes nothing of what is told."""
        lineage, work = self._work.lineage, self._work
        ends = lineage.ends(MeasuredItem(work.layout, work.columns), part, rows, ["outcome", "reason"])
        counts = count_ends(ends)
        return UnitReport(
            unit=part,
            rows_in=len(rows),
            rows_measured=written.rows if written else 0,
            bytes_written=written.size_bytes if written else 0,
            seconds=seconds,
            kept=len(rows) - sum(counts[0].values()) - sum(counts[1].values()),
            rejected=counts[0],
            failed=counts[1],
        )


@dataclass(frozen=True)
class _TakenOver:
    """Rows that an earlier commit of the same measure holds, and its files."""

    rows: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    files: tuple[FileRecord, ...] = ()


def _take_over(work: PhaseWork, part: int, rows: np.ndarray, measured: np.ndarray | None = None) -> _TakenOver:
    """What earlier commits hold of the rows; of the rows that were measured just now, nothing.

    Raises:
        TransientError: A run beside this one committed other rows of the part while it was measured.
    """
    files: dict[str, FileRecord] = {}
    for sibling in work.siblings:
        commit = work.lineage.part_commit(MeasuredItem(sibling, ()), part)
        files.update({file.path: file for file in commit.files} if commit else {})
    taken = _TakenOver() if measured is None else _TakenOver(measured)
    for file in files.values():
        held = read_columns(work.store, file, ["row"], rows)["row"].to_numpy()
        new = held[~np.isin(held, taken.rows, assume_unique=True)]
        # Two files that hold the same row would double it: a file is taken whole or not at all.
        if len(new) and len(new) == len(held):
            taken = replace(taken, rows=np.concatenate([taken.rows, held]), files=(*taken.files, file))
    if measured is not None and len(taken.rows) != len(rows):
        raise TransientError(f"part {part} of {work.phase.name}: another run worked on it too, so it is measured again")
    return taken


def _seconds_of(table: pa.Table) -> dict[str, float]:
    """Time in the steps before, as the operator before noted it."""
    return dict(json.loads((table.schema.metadata or {}).get(_SECONDS, b"{}")))


def _ordered(done: pa.Table, columns: Sequence[str]) -> pa.Table:
    """The table with all columns of the phase in their order, nulls where no row came far enough."""
    for name in columns:
        if name not in done.column_names:
            field = schema_of(name).field(name)
            done = done.append_column(field.with_nullable(True), pa.nulls(done.num_rows, field.type))
    return done.select(["row", "key", *columns])


def count_ends(ends: pa.Table) -> tuple[dict[str, int], dict[str, int]]:
    """Rows rejected by rule, and failed by reason, of a table with `outcome` and `reason`."""
    counts: list[dict[str, int]] = []
    for outcome in (Outcome.REJECTED, Outcome.FAILED):
        chosen = ends.filter(pc.equal(ends["outcome"], outcome.value))
        values = pc.value_counts(chosen["reason"]).to_pylist()
        counts.append({str(value["values"]): int(value["counts"]) for value in values})
    return counts[0], counts[1]
