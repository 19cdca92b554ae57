"""How a stage says that a row is rejected or failed: three columns beside its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from schemas.columns import schema_of
from schemas.outcomes import FailureReason, Outcome

MARK_COLUMNS = ("outcome", "reason", "detail")
_FIELDS = [field.with_nullable(True) for field in schema_of(*MARK_COLUMNS)]


@dataclass(frozen=True, slots=True)
class Mark:
    """The end of a row. Make one with `rejected` or `failed`."""

    outcome: Outcome
    reason: str
    detail: str | None = None


def rejected(rule: str, detail: str | None = None) -> Mark:
    """The row breaks a rule. `rule` is the bound's name alone; the engine puts the step's name before it."""
    return Mark(Outcome.REJECTED, rule, detail)


def failed(reason: FailureReason, detail: str | None = None) -> Mark:
    """The row could not be measured."""
    return Mark(Outcome.FAILED, reason.value, detail)


def with_marks(table: pa.Table, marks: Sequence[Mark | None]) -> pa.Table:
    """The table with the marks of its rows, None for a row that goes on."""
    values = [
        [mark.outcome.value if mark else None for mark in marks],
        [mark.reason if mark else None for mark in marks],
        [mark.detail if mark else None for mark in marks],
    ]
    for field, column in zip(_FIELDS, values, strict=True):
        table = table.append_column(field, pa.array(column, pa.string()))
    return table
