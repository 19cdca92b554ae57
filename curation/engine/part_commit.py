"""Commits a part of a phase: what was measured just now, and what earlier commits hold."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.engine.earlier_rows import EarlierRows, earlier_rows
from curation.engine.lineage import MeasuredItem, counted_rows
from curation.engine.measured_again import settle
from curation.engine.phase_work import PhaseWork
from curation.engine.same_rows import present_slice
from curation.errors import TransientError
from curation.plan.fingerprints import digest
from curation.storage.column_groups import read_columns, write_columns
from schemas.columns import schema_of
from schemas.outcomes import Outcome
from schemas.records import FileRecord, PartCommit, PoolFile, Revisited, UnitReport

_ENDS = ["outcome", "reason"]


def commit_taken_over(work: PhaseWork, part: int) -> UnitReport | None:
    """Commits a part all of whose live rows were measured under another scope; None where that cannot be told.

    Where rows would have to be told by their keys, a worker reads them.
    """
    earlier = earlier_rows(replace(work, told_by_keys=False), part, work.lineage.live_rows(part))
    if not earlier.files or not earlier.settled.all():
        return None
    return commit_part(work, part, earlier, done=None)


def report_committed(work: PhaseWork, part: int) -> UnitReport | None:
    """The report of a part that has been committed since the run looked, None where none has.

    Another driver may have done so, or the listing that the run went by was not up to date.
    """
    commit = work.lineage.part_commit(MeasuredItem(work.layout, work.columns), part)
    if commit is None:
        return None
    rows = work.lineage.live_rows(part)
    return _report(_counted(work, commit, rows), len(rows), None, {})


def commit_part(
    work: PhaseWork,
    part: int,
    earlier: EarlierRows,
    *,
    done: pa.Table | None,
    seconds: dict[str, float] | None = None,
) -> UnitReport:
    """Writes what was measured, if anything was, and commits the part.

    Args:
        earlier: What earlier commits hold of the rows of the part that were alive when the phase began.
        done: What was measured for this commit.

    Raises:
        TransientError: A run beside this one committed other rows of the part while it was measured.
    """
    store, layout, rows = work.store, work.layout, earlier.rows
    done, revisited = (None, None) if done is None else settle(work, earlier, done)
    measured = np.isin(rows, done["row"].to_numpy()) if done is not None else np.zeros(len(rows), dtype=bool)
    if not (measured | earlier.known).all():
        raise TransientError(f"part {part} of {work.phase.name}: another run worked on it too, so it is measured again")
    files = list(earlier.count(~measured))
    ends = [_ends(work, file, rows) for file in files]
    written: FileRecord | None = None
    if done is not None and (done.num_rows or not files):
        done = _ordered(done, work.columns)
        ends.append(done.select(_ENDS))
        written = write_columns(store, layout.data(part, uuid.uuid4().hex[:12]), done)
        files.append(PoolFile(**written.model_dump(), revisit=work.revisit))
    rejected, failed = count_ends(ends)
    commit = PartCommit(
        part=part,
        rows_in=len(rows),
        rows_measured=written.rows if written else 0,
        files=tuple(files),
        source=present_slice(work.lineage, part),
        revisit=work.revisit,
        editions=_editions(work, files),
        revisited=_sum(earlier.revisited, revisited),
        rejected=rejected,
        failed=failed,
        seconds=seconds or {},
    )
    if not work.lineage.store.put_if_absent(layout.commit(part), commit.to_bytes()):
        if written is not None:
            store.delete(written.path)
        commit = _winner(work, part, rows)
    return _report(commit, len(rows), written, seconds or {})


def _report(commit: PartCommit, rows: int, written: FileRecord | None, seconds: dict[str, float]) -> UnitReport:
    rejected, failed = commit.rejected or {}, commit.failed or {}
    return UnitReport(
        unit=commit.part,
        rows_in=rows,
        rows_measured=written.rows if written else 0,
        bytes_written=written.size_bytes if written else 0,
        seconds=seconds,
        kept=rows - sum(rejected.values()) - sum(failed.values()),
        rejected=rejected,
        failed=failed,
        revisited=commit.revisited,
    )


def _winner(work: PhaseWork, part: int, rows: np.ndarray) -> PartCommit:
    """The commit of a run beside this one, its ends counted: a lost race changes nothing of what is told."""
    commit = work.lineage.part_commit(MeasuredItem(work.layout, work.columns), part)
    if commit is None:
        raise TransientError(f"part {part} of {work.phase.name}: its commit was there and cannot be read")
    return _counted(work, commit, rows)


def _counted(work: PhaseWork, commit: PartCommit, rows: np.ndarray) -> PartCommit:
    """The commit with its ends, which those of earlier versions do not tell."""
    if commit.rejected is not None:
        return commit
    item = MeasuredItem(work.layout, work.columns)
    rejected, failed = count_ends([work.lineage.ends(item, commit.part, rows, _ENDS)])
    return commit.model_copy(update={"rejected": rejected, "failed": failed})


def _ends(work: PhaseWork, file: PoolFile, rows: np.ndarray) -> pa.Table:
    """How those of the rows ended that the file counts."""
    return read_columns(work.store, file, _ENDS, counted_rows(file, rows)).select(_ENDS)


def _sum(before: Revisited | None, now: Revisited | None) -> Revisited | None:
    return before + now if before and now else before or now


def _editions(work: PhaseWork, files: Sequence[PoolFile]) -> str | None:
    """Names of files are a matter of chance; which row was measured at which revisit is not."""
    editions = []
    for file in files:
        if file.revisit:
            held = read_columns(work.store, file, [])["row"].to_numpy()
            counted = np.sort(held[~np.isin(held, np.array(file.without, np.int64))])
            editions.append((file.revisit, counted.tolist()))
    return digest("editions", sorted(editions)) if editions else None


def _ordered(done: pa.Table, columns: Sequence[str]) -> pa.Table:
    """The table with all columns of the phase in their order, nulls where no row came far enough."""
    for name in columns:
        if name not in done.column_names:
            field = schema_of(name).field(name)
            done = done.append_column(field.with_nullable(True), pa.nulls(done.num_rows, field.type))
    return done.select(["row", "key", *columns])


def count_ends(ends: Sequence[pa.Table]) -> tuple[dict[str, int], dict[str, int]]:
    """Rows rejected by rule, and failed by reason, of tables with `outcome` and `reason`."""
    counts: list[dict[str, int]] = []
    for outcome in (Outcome.REJECTED, Outcome.FAILED):
        chosen = [table.filter(pc.equal(table["outcome"], outcome.value))["reason"].combine_chunks() for table in ends]
        values = pc.value_counts(pa.chunked_array(chosen, pa.string())).to_pylist()
        counts.append({str(value["values"]): int(value["counts"]) for value in values})
    return counts[0], counts[1]
