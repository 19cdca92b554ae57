"""Commits a part of a phase: what was measured just now, and what an earlier scope has measured before."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.engine.lineage import MeasuredItem
from curation.engine.phase_work import PhaseWork
from curation.errors import TransientError
from curation.storage.column_groups import read_columns, write_columns
from schemas.columns import schema_of
from schemas.outcomes import Outcome
from schemas.records import FileRecord, PartCommit, UnitReport


@dataclass(frozen=True)
class TakenOver:
    """Rows that an earlier commit of the same measure holds, and its files."""

    rows: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    files: tuple[FileRecord, ...] = ()


def take_over(work: PhaseWork, part: int, rows: np.ndarray, measured: np.ndarray | None = None) -> TakenOver:
    """What earlier commits hold of the rows; of the rows that were measured just now, nothing.

    Raises:
        TransientError: A run beside this one committed other rows of the part while it was measured.
    """
    files: dict[str, FileRecord] = {}
    for sibling in work.siblings:
        commit = work.lineage.part_commit(MeasuredItem(sibling, ()), part)
        files.update({file.path: file for file in commit.files} if commit else {})
    taken = TakenOver() if measured is None else TakenOver(measured)
    for file in files.values():
        held = read_columns(work.store, file, ["row"], rows)["row"].to_numpy()
        new = held[~np.isin(held, taken.rows, assume_unique=True)]
        # Two files that hold the same row would double it: a file is taken whole or not at all.
        if len(new) and len(new) == len(held):
            taken = replace(taken, rows=np.concatenate([taken.rows, held]), files=(*taken.files, file))
    if measured is not None and len(taken.rows) != len(rows):
        raise TransientError(f"part {part} of {work.phase.name}: another run worked on it too, so it is measured again")
    return taken


def commit_taken_over(work: PhaseWork, part: int) -> UnitReport | None:
    """Commits a part all of whose live rows were measured under another scope; None where some were not."""
    rows = work.lineage.live_rows(part)
    taken = take_over(work, part, rows)
    if not taken.files or len(taken.rows) < len(rows):
        return None
    return commit_part(work, part, rows, taken, done=None)


def commit_part(
    work: PhaseWork,
    part: int,
    rows: np.ndarray,
    taken: TakenOver,
    *,
    done: pa.Table | None,
    seconds: dict[str, float] | None = None,
) -> UnitReport:
    """Writes what was measured, if anything was, and commits the part.

    Args:
        rows: Rows of the part that were alive when the phase began.
        done: What was measured for this commit.
    """
    store, layout = work.store, work.layout
    files = list(taken.files)
    written: FileRecord | None = None
    if done is not None:
        written = write_columns(store, layout.data(part, uuid.uuid4().hex[:12]), _ordered(done, work.columns))
        files.append(written)
    commit = PartCommit(part=part, rows_in=len(rows), rows_measured=written.rows if written else 0, files=tuple(files))
    won = work.lineage.store.put_if_absent(layout.commit(part), commit.to_bytes())
    if not won and written is not None:
        store.delete(written.path)
    return _report(work, part, rows, written, seconds or {})


def _report(
    work: PhaseWork, part: int, rows: np.ndarray, written: FileRecord | None, seconds: dict[str, float]
) -> UnitReport:
    """Counts what the winning commit holds: a lost race changes nothing of what is told."""
    ends = work.lineage.ends(MeasuredItem(work.layout, work.columns), part, rows, ["outcome", "reason"])
    counts = count_ends(ends)
    return UnitReport(
        unit=part,
        rows_in=len(rows),
        rows_measured=written.rows if written else 0,
        bytes_written=written.size_bytes if written else 0,
        seconds=seconds,
        kept=len(rows) - sum(counts[0].values()) - sum(counts[1].values()),
        rejected=counts[0],
        failed=counts[1],
    )


def _ordered(done: pa.Table, columns: Sequence[str]) -> pa.Table:
    """The table with all columns of the phase in their order, nulls where no row came far enough."""
    for name in columns:
        if name not in done.column_names:
            field = schema_of(name).field(name)
            done = done.append_column(field.with_nullable(True), pa.nulls(done.num_rows, field.type))
    return done.select(["row", "key", *columns])


def count_ends(ends: pa.Table) -> tuple[dict[str, int], dict[str, int]]:
    """Rows rejected by rule, and failed by reason, of a table with `outcome` and `reason`."""
    counts: list[dict[str, int]] = []
    for outcome in (Outcome.REJECTED, Outcome.FAILED):
        chosen = ends.filter(pc.equal(ends["outcome"], outcome.value))
        values = pc.value_counts(chosen["reason"]).to_pylist()
        counts.append({str(value["values"]): int(value["counts"]) for value in values})
    return counts[0], counts[1]
