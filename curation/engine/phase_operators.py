"""Measuring a part: read what is alive and not yet measured, run the stages, write one file, commit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from curation.contracts.shared import SharedLink, SharedSpec
from curation.contracts.stage import Stage, earlier_name
from curation.engine.earlier_rows import EarlierRows, earlier_rows
from curation.engine.operator import Handover, Operator
from curation.engine.part_commit import commit_part, report_committed
from curation.engine.phase_work import PhaseWork
from curation.engine.stage_chain import StageChain
from curation.plan.groups import NOWHERE, group_name, group_resources, worker_groups
from schemas.records import StepSpan

_SECONDS = b"seconds"
"""Key in the metadata of a table that is handed to the next operator."""


def phase_operators(work: PhaseWork, placement: Mapping[str, str] = NOWHERE) -> list[Operator]:
    """The operators of a phase: consecutive stages share one where they need the same kind of device and of node.

    Args:
        placement: By the name of a step, the custom resource of the nodes it belongs on.
    """
    groups = worker_groups(work.phase.stages, placement)
    later: set[str] = set()
    operators: list[Operator] = []
    for index in range(len(groups) - 1, -1, -1):
        first, last = index == 0, index == len(groups) - 1
        operator = PhaseOperator(work, groups[index], frozenset(later), first=first, last=last)
        operator.resources = group_resources(groups[index], placement)
        operators.insert(0, operator)
        later |= {name for stage in groups[index] for name in stage.spec.requires}
    return operators


class PhaseOperator(Operator):
    """One worker's share of a phase. The first one reads the part, the last one commits it."""

    def __init__(
        self, work: PhaseWork, stages: Sequence[Stage], needed_later: frozenset[str], *, first: bool, last: bool
    ) -> None:
        self.name = group_name(stages, work.phase.name)
        self.steps = tuple(stage.config.step_name for stage in stages)
        self.costs = work.costs.of(stages)
        self._work = work
        self._chain = StageChain(stages, needed_later)
        self._first = first
        self._last = last

    @property
    def shared(self) -> Mapping[str, SharedSpec]:
        """What the stages share, by the names of their steps."""
        specs = {stage.config.step_name: stage.shared for stage in self._chain.stages}
        return {name: spec for name, spec in specs.items() if spec is not None}

    def connect(self, links: Mapping[str, SharedLink]) -> None:
        """Passes the links on to the stages."""
        for stage in self._chain.stages:
            if stage.config.step_name in links:
                stage.connect(links[stage.config.step_name])

    def setup(self) -> None:
        """Sets up the stages."""
        self._chain.setup()

    def step_spans(self) -> Sequence[StepSpan]:
        """One for each stage that was given rows."""
        return [span.record(self.name) for span in self._chain.spans.values()]

    def close(self) -> None:
        """Closes the stages."""
        self._chain.close()

    def run(self, unit: int, table: pa.Table | None) -> Handover:
        """Measures what is missing of a part and commits it."""
        self._chain.forget()
        if self._first and (report := report_committed(self._work, unit)):
            return Handover(report=report)
        # Between the first worker and the last one, another run may have committed some of the rows.
        earlier = self._earlier(unit) if self._first or self._last else None
        if earlier is not None and self._first:
            if earlier.files and earlier.settled.all():
                return Handover(report=commit_part(self._work, unit, earlier, done=None))
            table = rows_to_measure(self._work, unit, earlier)
        if table is None:
            raise AssertionError("only the first operator of a phase gets no table")
        before = _seconds_of(table)
        done = self._chain.run(table, unit)
        seconds = {**before, **{name: round(spent, 4) for name, spent in self._chain.seconds.items()}}
        if earlier is None or not self._last:
            # What is handed over is written batch by batch, and a batch ends where a chunk does.
            done = done.combine_chunks()
            return Handover(table=done.replace_schema_metadata({_SECONDS: json.dumps(seconds)}))
        return Handover(report=commit_part(self._work, unit, earlier, done=done, seconds=seconds))

    def _earlier(self, part: int) -> EarlierRows:
        return earlier_rows(self._work, part, self._work.lineage.live_rows(part))


def rows_to_measure(work: PhaseWork, part: int, earlier: EarlierRows) -> pa.Table:
    """The rows of a part that no commit settles, with what the phase reads, and what its stages are given back."""
    missing = ~earlier.settled
    phase = work.phase
    table = work.lineage.columns_of(part, earlier.rows[missing], (*phase.needs, *phase.persists))
    columns = list(dict.fromkeys(name for stage in phase.stages for name in stage.spec.revisits))
    # What a row that failed had then must not make it count as unchanged now: it is asked for as if for the first time.
    again = missing & earlier.refreshed & ~earlier.had_failed
    if columns and again.any():
        values = earlier.values(work, again, columns)
        places = np.searchsorted(values["row"].to_numpy(), table["row"].to_numpy())
        indices = pa.array(np.minimum(places, len(values) - 1), pa.int64(), mask=~again[missing])
        for name in columns:
            table = table.append_column(earlier_name(name), values[name].take(indices))
    return table


def _seconds_of(table: pa.Table) -> dict[str, float]:
    """Time in the steps before, as the operator before noted it."""
    return dict(json.loads((table.schema.metadata or {}).get(_SECONDS, b"{}")))
