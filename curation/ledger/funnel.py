"""The funnel: how many rows each step let through, and for what reasons it did not."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from curation.errors import CorruptionError, first_line
from schemas.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """What one step did. `reasons` are counts by rule and failure reason, largest first."""

    step: str
    rows_in: int
    rejected: dict[str, int]
    failed: dict[str, int]

    @property
    def rows_out(self) -> int:
        """Rows that went on."""
        return self.rows_in - sum(self.rejected.values()) - sum(self.failed.values())


@dataclass(frozen=True, slots=True)
class Funnel:
    """The whole way from the source to what was kept."""

    rows_in: int
    kept: int
    steps: tuple[FunnelStep, ...]

    @property
    def rejected(self) -> dict[str, int]:
        """Rows by the rule that rejected them."""
        return {rule: rows for step in self.steps for rule, rows in step.rejected.items()}

    @property
    def failed(self) -> dict[str, int]:
        """Rows by the reason for which they failed."""
        counts: dict[str, int] = {}
        for step in self.steps:
            for reason, rows in step.failed.items():
                counts[reason] = counts.get(reason, 0) + rows
        return counts


def make_funnel(ledger: pl.LazyFrame, step_names: list[str]) -> Funnel:
    """Counts the ledger.

    Args:
        step_names: The steps in the recipe's order, those without losses included.

    Raises:
        CorruptionError: The ledger cannot be read.
    """
    try:
        counts = ledger.group_by("outcome", "step", "reason").len().collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CorruptionError(
            f"the ledger cannot be read ({first_line(error)}); `curation verify` names what is damaged"
        ) from error
    rows_in = int(counts["len"].sum())
    left = rows_in
    steps = []
    for name in _in_order(step_names, counts["step"].drop_nulls().unique().to_list()):
        here = counts.filter(pl.col("step") == name).sort(["len", "reason"], descending=[True, False])
        step = FunnelStep(name, left, _by_reason(here, Outcome.REJECTED), _by_reason(here, Outcome.FAILED))
        left = step.rows_out
        steps.append(step)
    return Funnel(rows_in, left, tuple(steps))


def _in_order(step_names: list[str], found: list[str]) -> list[str]:
    """All steps. A phase that set parts aside is called after its steps, `-` between them: it stands at its first."""
    others = sorted(set(found) - set(step_names))
    ordered = []
    for name in step_names:
        ordered += [other for other in others if other.split("-")[0] == name]
        ordered.append(name)
    return [*(other for other in others if other not in ordered), *ordered]


def _by_reason(counts: pl.DataFrame, outcome: Outcome) -> dict[str, int]:
    chosen = counts.filter(pl.col("outcome") == outcome.value)
    return dict(zip(chosen["reason"].to_list(), chosen["len"].to_list(), strict=True))
