"""What everybody who works on a phase knows of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from curation.engine.lineage import Lineage
from curation.engine.stage_chain import END_COLUMNS
from curation.plan.costs import MeasuredCosts
from curation.plan.fingerprints import DIGITS
from curation.plan.phases import Phase
from curation.storage.layout import POOL, PhaseLayout
from curation.storage.store import Store
from schemas.records import Revisit


@dataclass(frozen=True)
class PhaseWork:
    """What every operator of a phase knows.

    Attributes:
        lineage: Everything before the phase.
        siblings: Folders of commits of the same measure under other scopes, whose rows are taken over.
        revisit: Number of the newest revisit of the run's folder, 0 before the first.
        revisits: Those that are meant for the phase, oldest first.
        told_by_keys: What it measures depends on no more of the source than what keys cover.
        costs: What the steps cost, as far as it was measured.
    """

    lineage: Lineage
    phase: Phase
    layout: PhaseLayout
    siblings: tuple[PhaseLayout, ...] = ()
    revisit: int = 0
    revisits: tuple[Revisit, ...] = ()
    told_by_keys: bool = False
    costs: MeasuredCosts = field(default_factory=MeasuredCosts)

    @property
    def store(self) -> Store:
        """Rooted at the folder of the phase."""
        return self.lineage.store.child(self.layout.folder)

    @property
    def columns(self) -> tuple[str, ...]:
        """What the phase writes, beside `row` and `key`."""
        return (*self.phase.persists, *self.phase.adds, *END_COLUMNS)


def measured_otherwise(store: Store, layout: PhaseLayout) -> bool:
    """Whether nothing of a phase lies there as it is to be measured, but something as it was another time."""
    if has_commits(store, layout.folder):
        return False
    like_it = re.compile(rf"{re.escape(layout.name)}-[0-9a-f]{{{DIGITS}}}")
    return any(has_commits(store, f"{POOL}/{name}") for name in store.list(POOL) if like_it.fullmatch(name))


def has_commits(store: Store, folder: str) -> bool:
    """Whether anything of a phase is committed in its folder, under whatever scope."""
    return any(name.startswith("commits-") for name in store.list(folder))


def siblings_of(store: Store, layout: PhaseLayout, latest: str | None = None) -> tuple[PhaseLayout, ...]:
    """The other folders of commits in the folder of a phase.

    Args:
        store: Rooted at the run's folder.
        latest: Folder of commits of the latest run, which comes first: most rows are found there.
    """
    names = [name.removeprefix("commits-") for name in store.list(layout.folder) if name.startswith("commits-")]
    siblings = [replace(layout, scope=scope) for scope in names if scope != layout.scope]
    return tuple(sorted(siblings, key=lambda sibling: sibling.commits != latest))
