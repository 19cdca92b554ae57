"""Measuring a part: read what is alive and not yet measured, run the stages, write one file, commit."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from curation.contracts.resources import Resources
from curation.contracts.stage import Stage
from curation.engine.operator import Handover, Operator
from curation.engine.part_commit import commit_part, take_over
from curation.engine.phase_work import PhaseWork
from curation.engine.stage_chain import StageChain

_SECONDS = b"seconds"
"""Key in the metadata of a table that is handed to the next operator."""


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
            taken = take_over(self._work, unit, rows)
            missing = rows[~np.isin(rows, taken.rows, assume_unique=True)]
            if not len(missing) and taken.files:
                return Handover(report=commit_part(self._work, unit, rows, taken, done=None))
            table = self._work.lineage.columns_of(unit, missing, (*self._work.phase.needs, *self._work.phase.persists))
        before = _seconds_of(table)
        done = self._chain.run(table, unit)
        seconds = {**before, **{name: round(spent, 4) for name, spent in self._chain.seconds.items()}}
        if not self._last:
            return Handover(table=done.replace_schema_metadata({_SECONDS: json.dumps(seconds)}))
        if not self._first:
            taken = take_over(self._work, unit, rows, done["row"].to_numpy())
        return Handover(report=commit_part(self._work, unit, rows, taken, done=done, seconds=seconds))


def _seconds_of(table: pa.Table) -> dict[str, float]:
    """Time in the steps before, as the operator before noted it."""
    return dict(json.loads((table.schema.metadata or {}).get(_SECONDS, b"{}")))
