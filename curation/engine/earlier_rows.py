"""What earlier commits of a phase hold of the rows of a part, and which of them a revisit asks for again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.engine.lineage import MeasuredItem
from curation.engine.phase_work import PhaseWork
from curation.engine.same_rows import holds_same_rows, present_keys, same_keys
from curation.storage.column_groups import read_columns
from schemas.outcomes import Outcome
from schemas.records import PartCommit, PoolFile, Revisit, Revisited


@dataclass(frozen=True)
class EarlierRows:
    """For each live row of a part the file that holds its newest measurement.

    Attributes:
        rows: The live rows: (n,) int64, ascending.
        files: As the commits name them that count the rows there.
        held: Rows of each file: all, or, where none is ever to be left out, the live ones.
        places: Index of the row's file, -1 where it was never measured of its present inputs: (n,) int64.
        asked: Whether a revisit asks for the row again: (n,) bool.
        refreshed: Whether a refresh does: (n,) bool.
        failed: Why the row had failed, None where it had not; known of the rows that are asked for: (n,) object.
        revisited: What the newest revisit has come to already, under another scope.
    """

    rows: np.ndarray
    files: tuple[PoolFile, ...]
    held: tuple[np.ndarray, ...]
    places: np.ndarray
    asked: np.ndarray
    refreshed: np.ndarray
    failed: np.ndarray
    revisited: Revisited | None = None

    @property
    def known(self) -> np.ndarray:
        """Which rows were measured before: (n,) bool."""
        return np.asarray(self.places >= 0)

    @property
    def settled(self) -> np.ndarray:
        """Which rows need not be measured: (n,) bool."""
        return np.asarray(self.known & ~self.asked)

    @property
    def had_failed(self) -> np.ndarray:
        """Which of the rows that are asked for had failed: (n,) bool."""
        return np.array([reason is not None for reason in self.failed], dtype=bool)

    def at(self, rows: np.ndarray) -> np.ndarray:
        """Where the given rows stand in `rows`: (m,) int64."""
        return np.asarray(np.searchsorted(self.rows, rows))

    def count(self, chosen: np.ndarray) -> tuple[PoolFile, ...]:
        """The files of the chosen rows, so that each file counts those of its rows that were chosen there.

        Args:
            chosen: (n,) bool; the rows are known.
        """
        counted = []
        for index, (file, held) in enumerate(zip(self.files, self.held, strict=True)):
            own = self.rows[chosen & (self.places == index)]
            if len(own):
                without = held[~np.isin(held, own, assume_unique=True)]
                counted.append(file.model_copy(update={"without": tuple(np.sort(without).tolist())}))
        return tuple(counted)

    def values(self, work: PhaseWork, chosen: np.ndarray, columns: Sequence[str]) -> pa.Table:
        """`row` and columns as the chosen rows were measured, in their order.

        Args:
            chosen: (n,) bool; the rows are known.
        """
        tables = [
            read_columns(work.store, file, columns, self.rows[chosen & (self.places == index)])
            for index, file in enumerate(self.files)
            if (chosen & (self.places == index)).any()
        ]
        empty = work.lineage.schema_of(["row", *columns]).empty_table()
        return (pa.concat_tables(tables, promote_options="default") if tables else empty).sort_by("row")


def earlier_rows(work: PhaseWork, part: int, rows: np.ndarray) -> EarlierRows:
    """Looks into the commits of the phase's other scopes, those of the newest revisit first.

    Of commits of a source that was another then, rows count whose keys tell that they are the same, where keys tell it.
    """
    search = _Search(work, part, rows)
    commits: Iterable[_Found] = _same_first(_found(work, part))
    revisited = None
    if work.revisit:
        every = sorted(commits, key=lambda found: -found.commit.revisit)
        commits, revisited = every, _revisited(work, [found.commit for found in every])
    for found in commits:
        for file in found.commit.files:
            if search.is_complete:
                return search.found(revisited)
            search.look_into(file, found)
    return search.found(revisited)


@dataclass(frozen=True)
class _Found:
    """A commit of another scope.

    Attributes:
        same: All that it counts are the rows that lie there now; else some may be others.
    """

    commit: PartCommit
    same: bool


def _found(work: PhaseWork, part: int) -> Iterator[_Found]:
    for sibling in work.siblings:
        commit = work.lineage.part_commit(MeasuredItem(sibling, ()), part)
        # A run beside this one may be at a later revisit: what it measures was made of other inputs.
        if commit is not None and commit.revisit <= work.revisit:
            same = holds_same_rows(work.lineage, commit)
            if same or work.told_by_keys:
                yield _Found(commit, same)


def _same_first(commits: Iterable[_Found]) -> Iterator[_Found]:
    """In their order: the first may do, so that the others need not be read."""
    others = []
    for found in commits:
        if found.same:
            yield found
        else:
            others.append(found)
    yield from others


def _revisited(work: PhaseWork, commits: Sequence[PartCommit]) -> Revisited | None:
    """The figures of the commit that tells most of the phase's newest revisit: each has those of the ones before."""
    newest = max((revisit.number for revisit in work.revisits), default=0)
    told = [commit.revisited for commit in commits if commit.revisited and commit.revisit >= newest]
    return max(told, key=lambda revisited: revisited.asked, default=None)


class _Search:
    """Fills in, file by file, where the rows of a part are."""

    def __init__(self, work: PhaseWork, part: int, rows: np.ndarray) -> None:
        self._work = work
        self._part = part
        self._rows = rows
        self._tables: dict[str, pa.Table] = {}
        self._measured: dict[str, np.ndarray] = {}
        self._files: list[PoolFile] = []
        self._places = np.full(len(rows), -1, np.int64)
        self._asked = np.zeros(len(rows), dtype=bool)
        self._refreshed = np.zeros(len(rows), dtype=bool)
        self._failed = np.full(len(rows), None, dtype=object)
        self._inputs = np.zeros(len(rows), np.int64)
        if work.revisit and work.siblings:
            self._inputs = work.lineage.editions(part, rows, work.phase.needs)

    @property
    def is_complete(self) -> bool:
        return bool((self._places >= 0).all())

    def look_into(self, file: PoolFile, found: _Found) -> None:
        """Notes the rows that a commit counts in the file."""
        # Where a file holds what is not to be counted, a new commit must name all of that, rows that are dead included.
        table = self._read(file, whole=bool(self._work.revisit or file.without or not found.same))
        held = table["row"].to_numpy()
        at = np.searchsorted(self._rows, held)
        alive = at < len(self._rows)
        alive[alive] = self._rows[at[alive]] == held[alive]
        counted = alive & ~np.isin(held, np.array(file.without, np.int64))
        if not found.same:
            start, _ = self._work.lineage.bounds(self._part)
            counted &= same_keys(start, self._present, held, self._keys(file))
        # What is older than its inputs was measured of others; an older commit may still hold what was not.
        counted[counted] = (self._places[at[counted]] < 0) & (file.revisit >= self._inputs[at[counted]])
        chosen = at[counted]
        self._places[chosen] = [known.path for known in self._files].index(file.path)
        later = [revisit for revisit in self._work.revisits if revisit.number > found.commit.revisit]
        if later and len(chosen):
            self._ask(chosen, table.filter(pa.array(counted)), later)

    def _read(self, file: PoolFile, *, whole: bool) -> pa.Table:
        known = self._tables.get(file.path)
        if known is None:
            self._files.append(file)
        if known is None or (whole and known.num_rows < file.rows):
            columns = ["outcome", "reason"] if self._work.revisits else []
            self._tables[file.path] = read_columns(self._work.store, file, columns, None if whole else self._rows)
        return self._tables[file.path]

    @cached_property
    def _present(self) -> np.ndarray:
        """Read once for the part, however many commits are of another state of the source."""
        return present_keys(self._work.lineage, self._part)

    def _keys(self, file: PoolFile) -> np.ndarray:
        if file.path not in self._measured:
            keys = read_columns(self._work.store, file, ["key"])["key"].to_numpy()
            self._measured[file.path] = np.asarray(keys)
        return self._measured[file.path]

    def _ask(self, chosen: np.ndarray, table: pa.Table, revisits: Sequence[Revisit]) -> None:
        failed = pc.equal(table["outcome"], Outcome.FAILED.value).fill_null(False)
        reasons = pc.if_else(failed, table["reason"], None).to_pylist()
        self._failed[chosen] = reasons
        asked_for = {reason for revisit in revisits for reason in revisit.reasons}
        refresh = any(revisit.kind == "refresh" for revisit in revisits)
        # Of a phase that cannot tell whether anything has changed, a refresh asks again for what has failed there.
        self._refreshed[chosen] = refresh and any(stage.spec.revisits for stage in self._work.phase.stages)
        retried = [reason is not None and (refresh or reason in asked_for) for reason in reasons]
        self._asked[chosen] = self._refreshed[chosen] | retried

    def found(self, revisited: Revisited | None) -> EarlierRows:
        held = tuple(self._tables[file.path]["row"].to_numpy() for file in self._files)
        return EarlierRows(
            rows=self._rows,
            files=tuple(self._files),
            held=held,
            places=self._places,
            asked=self._asked,
            refreshed=self._refreshed,
            failed=self._failed,
            revisited=revisited,
        )
