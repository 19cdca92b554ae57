"""Tells of the rows that were asked for again which of them are in fact others than they were."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.contracts.marks import UNCHANGED
from curation.engine.earlier_rows import EarlierRows
from curation.engine.phase_work import PhaseWork
from schemas.columns import COLUMNS, Role
from schemas.outcomes import TEMPORARY, Outcome
from schemas.records import Revisited

_TEMPORARY = [reason.value for reason in TEMPORARY]


def settle(work: PhaseWork, earlier: EarlierRows, done: pa.Table) -> tuple[pa.Table, Revisited | None]:
    """What of the newly measured rows is to be written, and what the revisit came to.

    A row keeps its earlier measurement

    - if its stage says that it is unchanged;
    - if it ended before and ends again, with the same values: nothing behind it need be done again;
    - if a refresh cannot reach it just now, but it was fine: what can heal must not cost what is there.
    """
    unchanged = _mask(pc.equal(done["outcome"], UNCHANGED))
    at = earlier.at(done["row"].to_numpy())
    asked = earlier.asked[at]
    if not asked.any():
        # A filter copies the images, even where it leaves out none.
        return (done.filter(pa.array(~unchanged)) if unchanged.any() else done), None
    failed_before = earlier.had_failed[at]
    failed_now = _mask(pc.equal(done["outcome"], Outcome.FAILED.value))
    away = failed_now & _mask(pc.is_in(done["reason"], pa.array(_TEMPORARY)))
    unreached = asked & earlier.refreshed[at] & ~failed_before & away
    unchanged |= asked & ~unreached & _same_ends(work, earlier, done, asked)
    anew = asked & ~unchanged & ~unreached
    revisited = Revisited(
        asked=int(asked.sum()),
        failed_before=dict(Counter(earlier.failed[at][asked & failed_before].tolist())),
        unchanged=int((asked & unchanged).sum()),
        unreached=int(unreached.sum()),
        healed=int((anew & failed_before & ~failed_now).sum()),
        lost=int((anew & ~failed_before & failed_now).sum()),
    )
    return done.filter(pa.array(~(unchanged | unreached))), revisited


def _same_ends(work: PhaseWork, earlier: EarlierRows, done: pa.Table, asked: np.ndarray) -> np.ndarray:
    """Which of the rows ended before and end again with the same values: (n,) bool.

    Rows that live on are not compared, nor are images of those that do not: nobody reads them.
    """
    same = np.zeros(done.num_rows, dtype=bool)
    ended = asked & np.array(done["outcome"].is_valid()) & ~_mask(pc.equal(done["outcome"], UNCHANGED))
    if ended.any():
        columns = [
            name
            for name in work.columns
            if name in done.column_names and (name not in COLUMNS or COLUMNS[name].role is Role.SCALAR)
        ]
        rows = done["row"].to_numpy()[ended]
        before = earlier.values(work, np.isin(earlier.rows, rows), columns).to_pylist()
        now = done.select(["row", *columns]).filter(pa.array(ended)).sort_by("row").to_pylist()
        equal = [row["row"] for row, other in zip(now, before, strict=True) if row == other]
        same = np.isin(done["row"].to_numpy(), np.array(equal, np.int64))
    return same


def _mask(column: pa.ChunkedArray) -> np.ndarray:
    return np.array(column.fill_null(False), dtype=bool)
