"""How a stage says that a row is rejected, failed or unchanged: three columns beside its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from curation.contracts.pieces import with_columns
from schemas.columns import schema_of
from schemas.outcomes import FailureReason, Outcome

MARK_COLUMNS = ("outcome", "reason", "detail")
UNCHANGED = "unchanged"
"""What stands in the outcome column of a row that is what it was: no outcome, and never written anywhere."""
_FIELDS = [field.with_nullable(True) for field in schema_of(*MARK_COLUMNS)]


@dataclass(frozen=True, slots=True)
class Mark:
    """The end of a row in a stage. Make one with `rejected`, `failed` or `unchanged`."""

    outcome: str
    reason: str | None
    detail: str | None = None


def rejected(rule: str, detail: str | None = None) -> Mark:
    """The row breaks a rule. `rule` is the bound's name alone; the engine puts the step's name before it."""
    return Mark(Outcome.REJECTED.value, rule, detail)


def failed(reason: FailureReason, detail: str | None = None) -> Mark:
    """The row could not be measured."""
    return Mark(Outcome.FAILED.value, reason.value, detail)


def unchanged() -> Mark:
    """The row, of which the stage was given earlier values, is what it was: its earlier measurement stays.

    What the phase's later stages made of it stays too, so they do not see the row. Its columns may be null.
    """
    return Mark(UNCHANGED, None)


def with_marks(table: pa.Table, marks: Sequence[Mark | None]) -> pa.Table:
    """The table with the marks of its rows, None for a row that goes on."""
    values = [
        [mark.outcome if mark else None for mark in marks],
        [mark.reason if mark else None for mark in marks],
        [_storable(mark.detail) if mark else None for mark in marks],
    ]
    return with_columns(table, _FIELDS, [pa.array(column, pa.string()) for column in values])


def has_marks(result: pa.Table) -> bool:
    """Whether a row of a stage's result is marked."""
    return "outcome" in result.column_names and result["outcome"].null_count < result.num_rows


def _storable(detail: str | None) -> str | None:
    """The detail without the lone surrogates that bytes from outside may have become: Arrow refuses them."""
    if detail is None or detail.isascii():
        return detail
    return detail.encode("utf-8", "replace").decode()
