"""Requests to ask again for rows that were measured: records of a run's folder, numbered, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from curation.errors import RecipeError
from curation.plan.fingerprints import Fingerprints, Layout, steps_fingerprint
from curation.plan.phases import Decision, Phase, Plan
from curation.recipe.mistakes import did_you_mean
from curation.storage.layout import REVISITS, PhaseLayout, revisit_end_path, revisit_path
from curation.storage.store import Store
from curation.storage.stored_records import read_numbered
from schemas.outcomes import FailureReason
from schemas.records import Revisit, RevisitEnd

ALL_REASONS = "all"


@dataclass(frozen=True, slots=True)
class RevisitRequest:
    """What a run is asked to ask again for.

    Attributes:
        reasons: Of a retry: rows that failed for one of these.
    """

    kind: Literal["retry", "refresh"]
    reasons: tuple[str, ...] = ()


REFRESH = RevisitRequest("refresh")


def retry_request(text: str) -> RevisitRequest:
    """The request behind `REASON,REASON,…`, or `all`.

    Raises:
        RecipeError: There is no such reason.
    """
    known = [reason.value for reason in FailureReason]
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in (*known, ALL_REASONS)]
    if unknown or not names:
        nearest = did_you_mean(unknown[0], [*known, ALL_REASONS]) if unknown else f"; known are {', '.join(known)}"
        what = f"no row fails for {unknown[0]!r}" if unknown else "names no reason"
        raise RecipeError(f"--retry-failed: {what}{nearest}")
    return RevisitRequest("retry", tuple(sorted(known if ALL_REASONS in names else names)))


class Revisits:
    """The revisits of a folder, as one plan sees them.

    Args:
        layout: Which row lies where.
    """

    def __init__(self, store: Store, plan: Plan, layout: Layout) -> None:
        self._store = store
        self._plan = plan
        self._layout = layout
        self._phases = {
            steps_fingerprint(phase, layout.parts): any(stage.spec.revisits for stage in phase.stages)
            for phase in plan.phases
            if phase.stages
        }
        fetching = {key for key, revisits in self._phases.items() if revisits}
        # A step before or behind the fetching may have changed: then it is the same request all the same.
        self._own = fetching or set(self._phases)
        self._read()

    def _read(self) -> None:
        names = self._store.list(REVISITS)
        self.known = read_numbered(self._store, names, revisit_path, Revisit)
        paths = {f"{REVISITS}/{name}" for name in names}
        self._ended = {revisit.number for revisit in self.known if revisit_end_path(revisit.number) in paths}

    @property
    def open(self) -> Revisit | None:
        """The newest revisit of what the plan fetches (of any phase, if nothing) that no run has carried out yet."""
        return next((revisit for revisit in reversed(self.known) if self._is_open(revisit)), None)

    def _is_open(self, revisit: Revisit) -> bool:
        return revisit.number not in self._ended and bool(self._own & set(revisit.phases))

    def request(self, request: RevisitRequest) -> None:
        """Makes a revisit, unless the same one is under way: then the run goes on with it.

        Nothing is made where none of the phases that it would be meant for was measured.
        """
        phases = tuple(sorted(self._phases))
        measured = self._measured() & set(phases if request.kind == "retry" else self._own)
        while measured and not any(self._is_same(known, request, measured) for known in self.known):
            number = 1 + max((known.number for known in self.known), default=0)
            made = Revisit(number=number, kind=request.kind, reasons=request.reasons, phases=phases)
            won = self._store.put_if_absent(revisit_path(number), made.to_bytes())
            self._read()
            if won:
                return

    def _is_same(self, known: Revisit, request: RevisitRequest, measured: set[str]) -> bool:
        alike = (known.kind, known.reasons) == (request.kind, request.reasons)
        # Of what was never measured nothing can be asked again, so a phase that is new makes no other request.
        return alike and self._is_open(known) and measured <= set(known.phases)

    def _measured(self) -> set[str]:
        """Those phases of which the folder holds a part; those, too, of which it cannot be told before the run."""
        prints = Fingerprints(self._plan, self._layout)
        measured, unsure = set(), set[int]()
        for item in self._plan.items:
            if isinstance(item, Decision):
                prints.decision(item)
                continue
            both = prints.phase(item)
            prints.end_phase(both, ())
            if self._hangs_on_decisions(item, unsure):
                unsure.add(id(item))
            folder = PhaseLayout(item.name, both.measure, both.scope).folder
            if id(item) in unsure or any(name.startswith("commits-") for name in self._store.list(folder)):
                measured.add(steps_fingerprint(item, self._layout.parts))
        return measured

    def _hangs_on_decisions(self, phase: Phase, unsure: set[int]) -> bool:
        makers = [self._plan.producers.get(name) for name in phase.needs]
        return any(isinstance(maker, Decision) or id(maker) in unsure for maker in makers)

    def end(self) -> None:
        """Notes that a run of the plan has come to its end."""
        for revisit in self.known:
            if self._is_open(revisit):
                end = RevisitEnd(number=revisit.number)
                self._store.put_if_absent(revisit_end_path(revisit.number), end.to_bytes())


def check_request(plan: Plan, request: RevisitRequest) -> None:
    """Refuses what the plan cannot do. Raises RecipeError."""
    stages = [stage for phase in plan.phases for stage in phase.stages]
    if request.kind == "refresh" and not any(stage.spec.revisits for stage in stages):
        raise RecipeError("--refresh: no step of the recipe fetches anything that could have changed")
    if request.kind == "retry" and not stages:
        raise RecipeError("--retry-failed: no step of the recipe measures anything, so no row of it can have failed")
