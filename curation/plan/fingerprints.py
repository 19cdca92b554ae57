"""Fingerprints: what a result depends on, as a hash. Equal fingerprints mean that nothing need be done again.

A phase has two. Its *measure* covers what its values depend on: its own steps, and those that made the columns it
reads. Its *scope* adds which rows were alive when it began. A changed threshold changes scopes and no measure, so
rows that were measured under another scope are taken over, not measured again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from curation.catalogue import Step
from curation.contracts.config import fingerprinted_settings
from curation.plan.phases import Decision, Phase, Plan

DIGITS = 16
"""64 bits: a run has a few dozen fingerprints."""


def digest(*parts: Any) -> str:
    """Hash of JSON values."""
    return sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:DIGITS]


@dataclass(frozen=True)
class PhasePrints:
    """The two fingerprints of a phase."""

    measure: str
    scope: str


class Fingerprints:
    """Walks along a plan; each item's fingerprint depends on the ones before it.

    Args:
        layout: Fingerprint of the source together with the size of a part: which row lies where.
    """

    def __init__(self, plan: Plan, layout: str) -> None:
        self._plan = plan
        self._layout = layout
        self._chain = layout
        self._made: dict[int, str] = {}

    @property
    def chain(self) -> str:
        """Fingerprint of which rows are alive here, and of all that was measured so far."""
        return self._chain

    def phase(self, phase: Phase) -> PhasePrints:
        """The fingerprints of the phase that comes next."""
        producers = {self._plan.producers.get(name) for name in phase.needs}
        inputs = sorted(self._made[id(item)] for item in producers if item is not None)
        measure = digest("phase", self._layout, [_step(stage) for stage in phase.stages], phase.persists, inputs)
        self._made[id(phase)] = measure
        return PhasePrints(measure, digest(measure, self._chain))

    def end_phase(self, prints: PhasePrints, quarantined: Iterable[int]) -> None:
        """Moves past a phase. Parts that were set aside change which rows are alive."""
        self._chain = digest(self._chain, prints.measure, sorted(quarantined))

    def decision(self, decision: Decision) -> str:
        """The fingerprint of the exchange that comes next; moves past it."""
        made = digest("decision", self._chain, _step(decision.exchange))
        self._made[id(decision)] = made
        self._chain = digest(self._chain, made)
        return made

    def delivery(self, sink: Step) -> str:
        """The fingerprint of what a sink writes."""
        return digest("delivery", self._chain, _step(sink))


def layout_fingerprint(source_fingerprint: str, part_rows: int) -> str:
    """Fingerprint of which row lies in which part."""
    return digest("layout", source_fingerprint, part_rows)


def _step(step: Step) -> Sequence[Any]:
    return [step.spec.kind, step.spec.version, step.config.step_name, fingerprinted_settings(step.config)]
