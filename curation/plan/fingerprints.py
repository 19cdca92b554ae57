"""Fingerprints: what a result depends on, as a hash. Equal fingerprints mean that nothing need be done again.

A phase has two. Its *measure* covers what its values depend on: its own steps, and those that made the columns it
reads. Its *scope* adds what the source holds, and which rows were alive when the phase began. A changed threshold or a
grown source changes scopes and no measure, so rows that were measured under another scope are taken over, not measured
again. Whether a row of that scope is the same row, each commit tells (`curation/engine/same_rows.py`).

A revisit (a retry, a refresh) asks a phase for some of its rows again. It changes no measure. It changes the scope of
the phases it is meant for, and of what follows as far as any row was in fact measured anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from curation.catalogue import Step
from curation.contracts.config import fingerprinted_settings
from curation.contracts.exchange import Exchange
from curation.contracts.source import Source, SourceIndex
from curation.contracts.stage import Stage
from curation.plan.phases import Decision, Phase, Plan
from schemas.records import Revisit

DIGITS = 16
"""64 bits: a run has a few dozen fingerprints."""


def digest(*parts: Any) -> str:
    """Hash of JSON values."""
    return sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:DIGITS]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where rows lie.

    Attributes:
        parts: Fingerprint of how the source is cut into parts; it stays when the source grows.
        rows: Fingerprint of which row lies in which part.
    """

    parts: str
    rows: str


def layout_of(source: Source, index: SourceIndex, part_rows: int) -> Layout:
    """Where the rows of a source lie."""
    name = [source.config.kind, source.config.step_name]
    return Layout(digest("parts", name, part_rows), digest("layout", index.fingerprint, part_rows))


@dataclass(frozen=True)
class PhasePrints:
    """The two fingerprints of a phase, and the revisits that are meant for it, oldest first."""

    measure: str
    scope: str
    revisits: tuple[Revisit, ...] = ()


class Fingerprints:
    """Walks along a plan; each item's fingerprint depends on the ones before it.

    Args:
        layout: Which row lies where: the parts are in every measure, the rows in every scope.
        revisits: Those of the run's folder, oldest first.
        removed: Fingerprint of the rows that are removed, None where none is. It is in every scope and in no measure.
    """

    def __init__(
        self, plan: Plan, layout: Layout, revisits: Sequence[Revisit] = (), removed: str | None = None
    ) -> None:
        self._plan = plan
        self._layout = layout
        self._revisits = revisits
        self._chain = layout.rows if removed is None else digest(layout.rows, "removed", removed)
        self._made: dict[int, str] = {}
        self._before: dict[int, str] = {}

    @property
    def chain(self) -> str:
        """Fingerprint of which rows are alive here, and of all that was measured so far."""
        return self._chain

    @property
    def newest_revisit(self) -> int:
        """Number of the folder's newest revisit, 0 before the first."""
        return max((revisit.number for revisit in self._revisits), default=0)

    def phase(self, phase: Phase) -> PhasePrints:
        """The fingerprints of the phase that comes next."""
        producers = {self._plan.producers.get(name) for name in phase.needs}
        inputs = sorted(self._made[id(item)] for item in producers if item is not None)
        measure = digest("phase", self._layout.parts, [_step(stage) for stage in phase.stages], phase.persists, inputs)
        self._made[id(phase)] = measure
        steps = steps_fingerprint(phase, self._layout.parts)
        meant = tuple(revisit for revisit in self._revisits if steps in revisit.phases)
        scope = digest(measure, self._chain, *(revisit.number for revisit in meant[-1:]))
        return PhasePrints(measure, scope, meant)

    def end_phase(
        self, prints: PhasePrints, quarantined: Iterable[int], editions: Mapping[int, str] = MappingProxyType({})
    ) -> None:
        """Moves past a phase. Parts that were set aside change which rows are alive.

        Args:
            editions: Of the parts in which rows were measured anew at a revisit: which rows, as a fingerprint.
        """
        self._chain = digest(self._chain, prints.measure, sorted(quarantined), *sorted(editions.items()))

    def remove(self, removed: str | None) -> None:
        """Notes that rows turned out to be removed, by the fingerprint of all that are."""
        self._chain = digest(self._chain, "removed", removed)

    def decision(self, decision: Decision) -> str:
        """The fingerprint of the exchange that comes next; moves past it."""
        self._before[id(decision)] = self._chain
        made = digest("decision", self._chain, _step(decision.exchange))
        self._made[id(decision)] = made
        self._chain = digest(self._chain, made)
        return made

    def still_holds(self, decision: Decision) -> bool:
        """Whether the fingerprint of a decision is what it was: the files that it reads have not been changed since."""
        return digest("decision", self._before[id(decision)], _step(decision.exchange)) == self._made[id(decision)]

    def delivery(self, sink: Step) -> str:
        """The fingerprint of what a sink writes."""
        return digest("delivery", self._chain, _step(sink))


def steps_fingerprint(phase: Phase, parts: str) -> str:
    """Fingerprint of a phase's own steps: known before a run starts, other than its measure.

    Args:
        parts: Fingerprint of how the source is cut.
    """
    return digest("steps", parts, [_step(stage) for stage in phase.stages], phase.persists)


def _step(step: Step) -> Sequence[Any]:
    content = step.content_digest() if isinstance(step, (Stage, Exchange)) else None
    settings = fingerprinted_settings(step.config)
    return [step.spec.kind, step.spec.version, step.config.step_name, settings, *([] if content is None else [content])]
