"""Delivering one unit: read its rows from wherever they were measured, put them into their places, write, commit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from curation.contracts.sink import Sink
from curation.engine.lineage import Lineage
from curation.engine.operator import Handover, Operator
from curation.engine.stage_chain import END_COLUMNS
from curation.errors import CorruptionError
from curation.storage.column_groups import read_where
from curation.storage.layout import UnitsLayout
from curation.storage.stored_records import VERIFY_HINT
from schemas.columns import COLUMNS, Role
from schemas.records import DecisionCommit, UnitCommit, UnitReport


class DeliveryOperator(Operator):
    """Writes shards. Their names and bytes depend on the run alone, so two writers of one shard do no harm."""

    def __init__(
        self, lineage: Lineage, sink: Sink, layout: UnitsLayout, assignment: DecisionCommit, folder: str
    ) -> None:
        self.name = sink.config.step_name
        self.resources = sink.spec.resources
        self._lineage = lineage
        self._sink = sink
        self._layout = layout
        self._assignment = assignment
        self._assignment_folder = folder

    def run(self, unit: int, table: pa.Table | None) -> Handover:
        """Writes and commits one unit."""
        store = self._lineage.store
        rows = self._rows_of(unit)
        if store.exists(self._layout.commit(unit)):
            # Another driver has done it since the run looked, or the listing it went by was not up to date.
            return Handover(report=UnitReport(unit=unit, rows_in=len(rows), kept=len(rows)))
        content = self._content(rows)
        files = self._sink.write(unit, content, store.child(self._layout.folder))
        commit = UnitCommit(unit=unit, files=tuple(files))
        store.put_if_absent(self._layout.commit(unit), commit.to_bytes())
        size = sum(file.size_bytes for file in files)
        return Handover(
            report=UnitReport(unit=unit, rows_in=len(rows), rows_measured=len(rows), kept=len(rows), bytes_written=size)
        )

    def _rows_of(self, unit: int) -> pa.Table:
        """`row`, unit and place, ascending by place."""
        if self._assignment.by_unit is None:
            raise AssertionError("the assignment of a sink has a file by unit")
        store = self._lineage.store.child(self._assignment_folder)
        file = self._assignment.by_unit
        column, place = self._sink.spec.adds[:2]
        rows = read_where(store, file, ["row", column, place], column, unit)
        # Records of earlier releases have no checksum of the footer: row groups that it hides would be missed here.
        if not rows.num_rows or not np.array_equal(rows[place].to_numpy(), np.arange(rows.num_rows)):
            raise CorruptionError(f"{store.locate(file.path)}: the places of unit {unit} are not whole; {VERIFY_HINT}")
        return rows

    def _content(self, places: pa.Table) -> pa.Table:
        """Every column of the rows, in their places."""
        rows = places["row"].to_numpy()
        parts = rows // self._lineage.part_rows
        columns = delivered_columns(self._lineage)
        tables = [
            self._lineage.columns_of(int(part), np.sort(rows[parts == part]), columns) for part in np.unique(parts)
        ]
        content = pa.concat_tables(tables, promote_options="default")
        order = np.searchsorted(content["row"].to_numpy(), rows)
        content = content.take(pa.array(order, pa.int64()))
        for name in self._sink.spec.adds:
            content = content.append_column(COLUMNS[name].field, places[name].cast(COLUMNS[name].type))
        return content


def delivered_columns(lineage: Lineage) -> list[str]:
    """Every column of a run that is not transient or volatile, in the order it was made; no ends of rows."""
    names = list(lineage.index.columns.names)
    for item in lineage.items:
        names.extend(item.columns)
    return [
        name
        for name in dict.fromkeys(names)
        if name not in END_COLUMNS and (name not in COLUMNS or COLUMNS[name].role in (Role.SCALAR, Role.PAYLOAD))
    ]
