"""The last row that stays of each group, when so many of the best of each do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from curation.selection.last_kept import last_kept

ROWS_AT_ONCE = 4_000_000
"""Groups are ordered together up to so many rows; a larger one is not ordered, its bound is searched for."""


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
        frame: `row`, `key`, the columns `by` and the column, without nulls and NaN.
        by: Columns whose values make a group.
        caps: `by`, `rows` (how many there are) and `cap` (how many may stay) of each group.
        column: The figures: those with the best stay, of equal ones the smaller keys.
        largest: The largest figures are the best, not the smallest.
        rows_at_once: What is ordered in memory.

    Returns:
        One row for each group with `rows` > `cap`: `by`, `rows`, `cap`, `last_figure`, `last_key` and `last_row`. The
        last three are null where `cap` is 0.
    """
    over = caps.filter(pl.col("rows") > pl.col("cap")).sort("rows", *by)
    bounded = over.filter(pl.col("cap") > 0)
    last = [pl.col(column).alias("last_figure"), pl.col("key").alias("last_key"), pl.col("row").alias("last_row")]
    found = [frame.select(*by, *last).head(0).collect()]
    for groups in _batches(bounded, rows_at_once):
        numbered = groups.select(*by, "cap").with_row_index("group")
        given = frame.join(numbered.lazy(), on=by, how="inner", maintain_order="none")
        rows = given.select("group", "cap", column, "key", "row").collect(engine="streaming")
        ordered = rows.sort("group", column, "key", "row", descending=[False, largest, False, False])
        place = pl.int_range(pl.len()).over("group")
        ends = ordered.filter(place + 1 == pl.col("cap")).select("group", *last)
        found.append(numbered.join(ends, on="group", how="inner").select(found[0].columns))
    for group in bounded.filter(pl.col("rows") > rows_at_once).iter_rows(named=True):
        own = pl.all_horizontal(pl.col(name) == pl.lit(group[name]) for name in by)
        end = last_kept(frame.filter(own), column, group["cap"], group["rows"], largest=largest)
        values = {**{name: group[name] for name in by}, "last_figure": end.figure}
        found.append(pl.DataFrame({**values, "last_key": end.key, "last_row": end.row}, schema=found[0].schema))
    return over.join(pl.concat(found), on=list(by), how="left")


def _batches(groups: pl.DataFrame, rows_at_once: int) -> Iterator[pl.DataFrame]:
    """Groups that have about so many rows together; those that have more alone are left out."""
    small = groups.filter(pl.col("rows") <= rows_at_once)
    batch = (pl.col("rows").cast(pl.Int64).cum_sum() // rows_at_once).alias("batch")
    yield from small.with_columns(batch).partition_by("batch", include_key=False, maintain_order=True)
