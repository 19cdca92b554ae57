"""What a retry or a refresh came to: as JSON values, and in words."""

from __future__ import annotations

from typing import Any

from curation.engine.revisits import RevisitRequest
from curation.engine.run import RunResult
from schemas.outcomes import FailureReason
from schemas.records import Revisit, Revisited


def revisit_summary(result: RunResult) -> dict[str, Any] | None:
    """The figures of the retry or refresh that a run carried out, None where it carried out none."""
    if result.revisit is None:
        return None
    figures = {**result.revisited.model_dump(mode="json"), "changed": result.revisited.changed}
    return {**revisit_values(result.revisit), **figures}


def revisit_values(revisit: Revisit) -> dict[str, Any]:
    """What a revisit is."""
    return {"number": revisit.number, "kind": revisit.kind, "reasons": list(revisit.reasons)}


def revisit_title(revisit: Revisit) -> str:
    """A revisit in a few words."""
    every = set(FailureReason) <= set(revisit.reasons)
    reasons = f" of {'all failures' if every else ', '.join(revisit.reasons)}" if revisit.reasons else ""
    return f"{revisit.kind} {revisit.number}{reasons}"


def revisit_text(result: RunResult, request: RevisitRequest | None) -> str:
    """The end of a run's summary: nothing where nothing was asked again."""
    if result.revisit is not None:
        tell = _refresh_lines if result.revisit.kind == "refresh" else _retry_lines
        return "".join(f"{line}\n" for line in tell(result.revisit, result.revisited))
    if request is not None:
        return f"{request.kind}: nothing had been measured here, so every row was measured for the first time\n"
    return ""


def _retry_lines(revisit: Revisit, figures: Revisited) -> list[str]:
    lines = []
    if figures.asked:
        reasons = ", ".join(f"{reason} {rows:,}" for reason, rows in sorted(figures.failed_before.items()))
        lines.append(
            f"retry {revisit.number}: {figures.asked:,} rows asked again ({reasons}): "
            f"{figures.healed:,} no longer fail, {figures.asked - figures.healed:,} do"
        )
    # Parts that were set aside are tried again by every run, so their rows are not counted here.
    missed = sorted(set(revisit.reasons) - figures.failed_before.keys() - {FailureReason.QUARANTINED.value})
    every = set(FailureReason) <= set(revisit.reasons)
    if missed and not (every and figures.asked):
        lines.append(f"retry {revisit.number}: no row had failed{'' if every else ' for ' + ', '.join(missed)}")
    return lines


def _refresh_lines(revisit: Revisit, figures: Revisited) -> list[str]:
    unreached = f", {figures.unreached:,} could not be reached and stay as they were" if figures.unreached else ""
    ends = f" ({figures.healed:,} no longer fail, {figures.lost:,} do now)" if figures.healed or figures.lost else ""
    return [
        f"refresh {revisit.number}: {figures.asked:,} rows asked again: {figures.unchanged:,} unchanged, "
        f"{figures.changed:,} changed{ends}{unreached}"
    ]
