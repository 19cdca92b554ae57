"""Holds a stage to its contract: what it returns for the rows that it was given."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.contracts.marks import MARK_COLUMNS, UNCHANGED, has_marks
from curation.contracts.stage import Stage, earlier_name
from curation.errors import StageError
from schemas.columns import COLUMNS
from schemas.outcomes import FailureReason, Outcome


class WaitingRows:
    """The rows that a streaming stage was given and has not yielded yet."""

    def __init__(self, step: str, alive: pa.Table, part: int) -> None:
        self._step = step
        self._alive = alive
        self._part = part
        self._rows = alive["row"].to_numpy()
        self._left = np.ones(len(self._rows), dtype=bool)

    def take(self, chunk: pa.Table) -> pa.Table:
        """What the stage was given of the rows that it yields now."""
        _check_is_table(chunk, self._step, self._part)
        rows = chunk["row"].to_numpy()
        places = np.searchsorted(self._rows, rows)
        known = places < len(self._rows)
        known[known] = self._rows[places[known]] == rows[known]
        if not known.all():
            message = f"yielded row {rows[~known][0]}, which it was not given"
            raise StageError(message, stage=self._step, part=self._part)
        if len(np.unique(places)) < len(places) or not self._left[places].all():
            raise StageError("yielded a row twice", stage=self._step, part=self._part)
        self._left[places] = False
        return self._alive.take(pa.array(places, pa.int64()))

    def check_none_left(self) -> None:
        """Raises StageError if the stage has ended without some of its rows."""
        if self._left.any():
            message = f"never yielded {self._left.sum()} of its rows, such as row {self._rows[self._left][0]}"
            raise StageError(message, stage=self._step, part=self._part)


def check_result(stage: Stage, rows: pa.Table, result: pa.Table, part: int) -> None:
    """Holds a stage to its contract. Raises StageError."""
    name, spec = stage.config.step_name, stage.spec
    _check_is_table(result, name, part)
    if not result["row"].equals(rows["row"]):
        raise StageError("did not return the rows it was given, in their order", stage=name, part=part)
    # Arrow makes a list of names anew each time that it is asked, and a stage is asked for each piece of a part.
    types = dict(zip(result.column_names, result.schema.types, strict=True))
    for added in spec.adds:
        if added not in types:
            raise StageError(f"declares the column {added} but did not add it", stage=name, part=part)
        if types[added] != COLUMNS[added].type:
            raise StageError(f"the column {added} is {types[added]}, not {COLUMNS[added].type}", stage=name, part=part)
    earlier = [earlier_name(column) for column in spec.revisits]
    known = {"row", "key", *spec.requires, *spec.adds, *MARK_COLUMNS, *earlier}
    unknown = [column for column in types if column not in known]
    if unknown:
        raise StageError(f"added columns that it does not declare: {', '.join(unknown)}", stage=name, part=part)
    _check_marks(result, name, part)
    _check_unchanged(rows.select([name for name in earlier if name in rows.column_names]), result, name, part)


def _check_is_table(result: object, step: str, part: int) -> None:
    if not isinstance(result, pa.Table):
        raise StageError(f"returned a {type(result).__name__}, not a table", stage=step, part=part)
    names = result.column_names
    if "row" not in names:
        raise StageError("returned a table without the column row", stage=step, part=part)
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise StageError(f"returned columns twice: {', '.join(twice)}", stage=step, part=part)


def _check_marks(result: pa.Table, step: str, part: int) -> None:
    """A row that ends has an outcome and a reason, so that the ledger can tell both."""
    names = result.column_names
    present = [name for name in MARK_COLUMNS if name in names]
    if not present:
        return
    if len(present) < len(MARK_COLUMNS):
        raise StageError(f"gave {', '.join(present)} of the marks alone; use `with_marks`", stage=step, part=part)
    if all(result[name].null_count == result.num_rows for name in ("outcome", "reason")):
        return
    ended = pc.and_(result["outcome"].is_valid(), pc.not_equal(result["outcome"], UNCHANGED).fill_null(True))
    outcomes = set(result["outcome"].drop_null().unique().to_pylist())
    if outcomes - {Outcome.REJECTED, Outcome.FAILED, UNCHANGED} or not ended.equals(result["reason"].is_valid()):
        raise StageError("marked rows must be rejected or failed, each with a reason", stage=step, part=part)
    failures = result.filter(pc.equal(result["outcome"], Outcome.FAILED.value))["reason"].unique().to_pylist()
    unknown = sorted(set(failures) - {reason.value for reason in FailureReason})
    if unknown:
        raise StageError(f"failed rows for {', '.join(unknown)}, which is no FailureReason", stage=step, part=part)


def _check_unchanged(earlier: pa.Table, result: pa.Table, step: str, part: int) -> None:
    """Only a row of which the stage was given something can be what it was."""
    if not has_marks(result):
        return
    unchanged = np.array(pc.equal(result["outcome"], UNCHANGED).fill_null(False))
    known = np.zeros(result.num_rows, dtype=bool)
    for column in earlier.columns:
        known |= np.array(column.is_valid())
    baseless = result["row"].to_numpy()[unchanged & ~known]
    if len(baseless):
        message = f"marked row {baseless[0]} unchanged without having been given anything earlier of it"
        raise StageError(message, stage=step, part=part)
