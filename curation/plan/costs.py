"""What a row costs in each step: measured by the parts that are committed, else as the step states."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from curation.contracts.stage import Stage
from curation.storage.layout import POOL
from curation.storage.store import Store
from curation.storage.stored_records import read_records
from schemas.records import PartCommit

SAMPLED_COMMITS = 64
"""Of each folder of commits so many are read, evenly spread."""


@dataclass(frozen=True, slots=True)
class StepCost:
    """What a row costs in one step.

    Attributes:
        row_seconds: Time of one worker.
        origin: Where the figure is from.
    """

    row_seconds: float
    origin: Literal["measured", "stated"]


@dataclass(frozen=True)
class MeasuredCosts:
    """What the commits of a folder tell.

    Attributes:
        row_seconds: By step.
        row_bytes: What the pool holds for a row, by name of the phase.
        begun: Names of the phases that have a commit.
    """

    row_seconds: Mapping[str, float] = field(default_factory=dict)
    row_bytes: Mapping[str, float] = field(default_factory=dict)
    begun: frozenset[str] = frozenset()

    def of(self, stages: Iterable[Stage]) -> dict[str, StepCost]:
        """The costs of those stages of which anything is known, by the names of their steps."""
        costs = {}
        for stage in stages:
            name = stage.config.step_name
            if name in self.row_seconds:
                costs[name] = StepCost(self.row_seconds[name], "measured")
            elif stage.spec.row_seconds is not None:
                costs[name] = StepCost(stage.spec.row_seconds, "stated")
        return costs


def measured_costs(store: Store) -> MeasuredCosts:
    """What the commits in the folder of a run tell; those of other settings and of runs that died count as well.

    Raises:
        CorruptionError: A commit is damaged.
    """
    spent: dict[str, float] = defaultdict(float)
    timed: dict[str, int] = defaultdict(int)
    held: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    begun = set()
    for folder in store.list(POOL):
        phase = folder.rpartition("-")[0]
        for commit in _sampled(store, f"{POOL}/{folder}"):
            begun.add(phase)
            rows, size = held[phase]
            held[phase] = [rows + sum(f.rows for f in commit.files), size + sum(f.size_bytes for f in commit.files)]
            for step, seconds in commit.seconds.items() if commit.rows_measured else ():
                spent[step] += seconds
                timed[step] += commit.rows_measured
    return MeasuredCosts(
        row_seconds={step: spent[step] / timed[step] for step in spent},
        row_bytes={phase: size / rows for phase, (rows, size) in held.items() if rows},
        begun=frozenset(begun),
    )


def _sampled(store: Store, folder: str) -> Iterable[PartCommit]:
    for scope in store.list(folder):
        if scope.startswith("commits-"):
            names = spread(store.list(f"{folder}/{scope}"), SAMPLED_COMMITS)
            yield from read_records(store, [f"{folder}/{scope}/{name}" for name in names], PartCommit).values()


def spread(names: Sequence[str], count: int) -> list[str]:
    """So many of the names, evenly spread over all of them; all, where there are no more."""
    if len(names) <= count:
        return list(names)
    return [names[place * len(names) // count] for place in range(count)]
