"""The last row that stays of each group, when so many of the best of each do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from curation.internal_columns import internal
from curation.selection.last_kept import last_kept

ROWS_AT_ONCE = 4_000_000
"""Groups are ordered together up to so many rows; a larger one is not ordered, its bound is searched for."""
ROWS = internal("rows")
"""How many rows a group has."""
CAP = internal("cap")
"""How many of them may stay."""
LAST_FIGURE, LAST_KEY, LAST_ROW = internal("last_figure"), internal("last_key"), internal("last_row")
"""Of the last row of a group that stays."""
_GROUP, _BATCH = internal("group"), internal("batch")


def group_bounds(
    frame: pl.LazyFrame,
    by: Sequence[str],
    caps: pl.DataFrame,
    column: str,
    *,
    largest: bool = True,
    rows_at_once: int = ROWS_AT_ONCE,
) -> pl.DataFrame:
    """The bound of every group that has more rows than may stay.

    The frame is read once for every `rows_at_once` rows of such groups, and memory is bounded by that and by the number
    of groups.

    Args:
        frame: `row`, `key`, the columns `by` and the column, without nulls and NaN. These may have any names but
            internal ones.
        by: Columns whose values make a group.
        caps: `by`, `ROWS` and `CAP` of each group.
        column: The figures: those with the best stay, of equal ones the smaller keys.
        largest: The largest figures are the best, not the smallest.
        rows_at_once: What is ordered in memory.

    Returns:
        One row for each group with `ROWS` > `CAP`: `by`, `ROWS`, `CAP`, `LAST_FIGURE`, `LAST_KEY` and `LAST_ROW`. The
        last three are null where `CAP` is 0.
    """
    over = caps.filter(pl.col(ROWS) > pl.col(CAP)).sort(ROWS, *by)
    bounded = over.filter(pl.col(CAP) > 0)
    last = [pl.col(column).alias(LAST_FIGURE), pl.col("key").alias(LAST_KEY), pl.col("row").alias(LAST_ROW)]
    figures = frame.select(*by, *last)
    found = [figures.head(0).collect()]
    for groups in _batches(bounded, rows_at_once):
        numbered = groups.select(*by, CAP).with_row_index(_GROUP)
        given = figures.join(numbered.lazy(), on=by, how="inner", maintain_order="none")
        rows = given.select(_GROUP, CAP, LAST_FIGURE, LAST_KEY, LAST_ROW).collect(engine="streaming")
        ordered = rows.sort(_GROUP, LAST_FIGURE, LAST_KEY, LAST_ROW, descending=[False, largest, False, False])
        place = pl.int_range(pl.len()).over(_GROUP)
        ends = ordered.filter(place + 1 == pl.col(CAP)).drop(CAP)
        found.append(numbered.join(ends, on=_GROUP, how="inner").select(found[0].columns))
    for group in bounded.filter(pl.col(ROWS) > rows_at_once).iter_rows(named=True):
        own = pl.all_horizontal(pl.col(name) == pl.lit(group[name]) for name in by)
        end = last_kept(frame.filter(own), column, group[CAP], group[ROWS], largest=largest)
        values = {**{name: group[name] for name in by}, LAST_FIGURE: end.figure}
        found.append(pl.DataFrame({**values, LAST_KEY: end.key, LAST_ROW: end.row}, schema=found[0].schema))
    return over.join(pl.concat(found), on=list(by), how="left")


def _batches(groups: pl.DataFrame, rows_at_once: int) -> Iterator[pl.DataFrame]:
    """Groups that have about so many rows together; those that have more alone are left out."""
    small = groups.filter(pl.col(ROWS) <= rows_at_once)
    batch = (pl.col(ROWS).cast(pl.Int64).cum_sum() // rows_at_once).alias(_BATCH)
    yield from small.with_columns(batch).partition_by(_BATCH, include_key=False, maintain_order=True)
