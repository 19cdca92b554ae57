"""Writes the ledger of one part: every input row with every scalar that was measured of it, and its one outcome."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.contracts.resources import ONE_CPU
from curation.engine.lineage import DecidedItem, Lineage, MeasuredItem
from curation.engine.operator import Handover, Operator
from curation.engine.part_commit import count_ends
from curation.engine.stage_chain import END_COLUMNS
from curation.errors import CorruptionError
from curation.removals.removed_rows import REMOVAL_STEP, REMOVED
from curation.storage.column_groups import write_columns
from curation.storage.layout import UnitsLayout, ledger_file
from schemas.columns import COLUMNS, Role
from schemas.outcomes import FailureReason, Outcome
from schemas.records import UnitCommit, UnitReport


class LedgerOperator(Operator):
    """One file for each part, under a fixed name: the same bytes for the same run."""

    def __init__(self, lineage: Lineage, layout: UnitsLayout) -> None:
        self.name = "ledger"
        self.resources = ONE_CPU
        self._lineage = lineage
        self._layout = layout

    def run(self, unit: int, table: pa.Table | None) -> Handover:
        """Writes and commits the ledger of one part."""
        ledger = self.ledger_of(unit)
        file = write_columns(self._lineage.store.child(self._layout.folder), ledger_file(unit), ledger)
        commit = UnitCommit(unit=unit, files=(file,))
        self._lineage.store.put_if_absent(self._layout.commit(unit), commit.to_bytes())
        rejected, failed = count_ends([ledger])
        return Handover(
            report=UnitReport(
                unit=unit,
                rows_in=ledger.num_rows,
                rows_measured=ledger.num_rows,
                kept=ledger.num_rows - sum(rejected.values()) - sum(failed.values()),
                rejected=rejected,
                failed=failed,
                bytes_written=file.size_bytes,
            )
        )

    def ledger_of(self, part: int) -> pa.Table:
        """The ledger of one part: `row`, `key`, the source's columns, every scalar, outcome, step, reason, detail."""
        start, stop = self._lineage.bounds(part)
        rows = np.arange(start, stop, dtype=np.int64)
        removed = self._lineage.removed.between(start, stop).details
        ends = _Ends(rows)
        ends.remove(removed)
        values = _kept_columns(self._lineage.source_rows(part))
        if removed:
            values = blanked(values, np.isin(rows, list(removed)))
        for item in self._lineage.items:
            alive = ends.alive
            known = self._alive_values(item, part, alive)
            if isinstance(item, MeasuredItem):
                self._check_keys(item, values, known)
                unknown = alive[~np.isin(alive, known["row"].to_numpy())]
                self._check_unknown(item, part, unknown)
                ends.set_aside(unknown, item.layout.name)
            ends.add(known, item)
            values = self._with_columns(values, item, known)
        for field, column in zip(_END_FIELDS, ends.columns(), strict=True):
            values = values.append_column(field, column)
        return values

    def _alive_values(self, item: MeasuredItem | DecidedItem, part: int, alive: np.ndarray) -> pa.Table:
        wanted = _scalars(item)
        marks = ["reason", "detail"] if isinstance(item, DecidedItem) else ["key", *END_COLUMNS]
        return self._lineage.ends(item, part, alive, [*wanted, *marks])

    def _check_unknown(self, item: MeasuredItem, part: int, rows: np.ndarray) -> None:
        """Raises CorruptionError where a part was committed, and not set aside, without a row that is alive."""
        if len(rows) and self._lineage.part_commit(item, part) is not None:
            commits = self._lineage.store.locate(item.layout.commits)
            raise CorruptionError(
                f"{commits}: part {part} was measured without row {rows[0]}, which is alive: a verdict that lets it "
                "through was made again after that; delete that folder, and the next run measures what is missing"
            )

    def _check_keys(self, item: MeasuredItem, values: pa.Table, known: pa.Table) -> None:
        """Raises CorruptionError where a row was measured as another: the source was written anew while it was read."""
        places = np.searchsorted(values["row"].to_numpy(), known["row"].to_numpy())
        if not known["key"].combine_chunks().equals(values["key"].take(pa.array(places, pa.int64())).combine_chunks()):
            raise CorruptionError(
                f"{self._lineage.store.locate(item.layout.folder)}: rows were measured of another state of the source, "
                "which changed while it was read; run again, and if this is said once more, delete the folder first"
            )

    def _with_columns(self, values: pa.Table, item: MeasuredItem | DecidedItem, known: pa.Table) -> pa.Table:
        wanted = [name for name in _scalars(item) if name not in values.column_names]
        held = known["row"].to_numpy()
        order = np.argsort(held, kind="stable")
        rows = values["row"].to_numpy()
        places = np.full(len(rows), -1, np.int64)
        places[np.searchsorted(rows, held[order])] = order
        indices = pa.array(np.maximum(places, 0), pa.int64(), mask=places < 0)
        for name in wanted:
            values = values.append_column(COLUMNS[name].field.with_nullable(True), known[name].take(indices))
        return values


def blanked(table: pa.Table, chosen: np.ndarray) -> pa.Table:
    """The table with nothing left of the chosen rows but where they stand and their keys.

    Args:
        chosen: (n,) bool.
    """
    gone = pa.array(chosen)
    for place, field in enumerate(table.schema):
        if field.name not in ("row", "key"):
            empty = pa.nulls(table.num_rows, field.type)
            table = table.set_column(place, field.with_nullable(True), pc.if_else(gone, empty, table[field.name]))
    return table


_END_FIELDS = [COLUMNS[name].field for name in END_COLUMNS]


def _kept_columns(rows: pa.Table) -> pa.Table:
    """Without what the source gives to stages alone, such as the places where it has the bytes."""
    passing = [name for name in rows.column_names if name in COLUMNS and COLUMNS[name].role is Role.TRANSIENT]
    return rows.drop_columns(passing)


def _scalars(item: MeasuredItem | DecidedItem) -> list[str]:
    return [
        name
        for name in item.columns
        if name not in END_COLUMNS and name in COLUMNS and COLUMNS[name].role is Role.SCALAR
    ]


class _Ends:
    """How the rows of a part ended, as the items go by."""

    def __init__(self, rows: np.ndarray) -> None:
        self._rows = rows
        self._ends: dict[int, tuple[str, str, str, str | None]] = {}

    @property
    def alive(self) -> np.ndarray:
        """Rows that have not ended yet: (n,) int64, ascending."""
        return self._rows[~np.isin(self._rows, np.array(list(self._ends), np.int64))]

    def remove(self, details: dict[int, str]) -> None:
        """Rows that a removal means."""
        for row, detail in details.items():
            self._ends[row] = (Outcome.REJECTED.value, REMOVAL_STEP, REMOVED, detail)

    def set_aside(self, rows: np.ndarray, step: str) -> None:
        """Rows that the item should know and does not: their part was quarantined."""
        for row in rows.tolist():
            self._ends[row] = (
                Outcome.FAILED,
                step,
                FailureReason.QUARANTINED,
                "its part failed as often as is allowed",
            )

    def add(self, known: pa.Table, item: MeasuredItem | DecidedItem) -> None:
        """Rows that ended in an item."""
        rows = known["row"].to_pylist()
        reasons, details = known["reason"].to_pylist(), known["detail"].to_pylist()
        if isinstance(item, DecidedItem):
            outcomes: list[str | None] = [Outcome.REJECTED.value] * len(rows)
            steps: list[str | None] = [item.step] * len(rows)
        else:
            outcomes, steps = known["outcome"].to_pylist(), known["step"].to_pylist()
        for row, outcome, step, reason, detail in zip(rows, outcomes, steps, reasons, details, strict=True):
            if reason is not None:
                self._ends[row] = (str(outcome), str(step), reason, detail)

    def columns(self) -> list[pa.Array]:
        """Outcome, step, reason and detail of every row."""
        kept = (Outcome.KEPT.value, None, None, None)
        ends = [self._ends.get(row, kept) for row in self._rows.tolist()]
        return [pa.array([None if end[i] is None else str(end[i]) for end in ends], pa.string()) for i in range(4)]
