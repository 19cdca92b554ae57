"""The last row that stays when so many of the best do: what all others are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from curation.selection.order_statistics import CANDIDATES, order_statistic


@dataclass(frozen=True, slots=True)
class LastKept:
    """The last row that stays. Rows are ordered by their figure, equal figures by key, equal keys by row."""

    figure: Any
    key: str
    row: int


def last_kept(
    frame: pl.LazyFrame,
    column: str,
    room: int,
    measured: int,
    *,
    largest: bool = True,
    figures: pl.LazyFrame | None = None,
    candidates: int = CANDIDATES,
) -> LastKept:
    """The last of the `room` rows with the best figures.

    Args:
        frame: `row`, `key` and the column (numbers without NaN). Rows without a figure are none of the best.
        column: The figures.
        room: How many rows stay: at least 1, at most `measured`.
        measured: How many rows have a figure.
        largest: The largest figures are the best, not the smallest.
        figures: `row` and the column of the same rows, where they can be had for less.
        candidates: Rows with the same figure are ordered in memory up to so many.
    """
    cheaper = frame if figures is None else figures
    least = order_statistic(cheaper, column, measured - room if largest else room - 1, measured)
    better = measured - least.smaller - least.equal if largest else least.smaller
    ties = frame.filter(pl.col(column) == pl.lit(least.value))
    place = room - better - 1
    if least.equal <= candidates:
        ordered = ties.select("key", "row").collect(engine="streaming").sort("key", "row")
        return LastKept(least.value, *ordered.row(place))
    key = order_statistic(ties, "key", place, least.equal)
    same_key = ties.filter(pl.col("key") == key.value)
    row = order_statistic(same_key, "row", place - key.smaller, key.equal)
    return LastKept(least.value, key.value, row.value)


def worse(column: str, figure: pl.Expr, *, largest: bool = True) -> pl.Expr:
    """Whether a row has a worse figure than the last that stays."""
    return pl.col(column) < figure if largest else pl.col(column) > figure


def outdone_by_key(column: str, figure: pl.Expr, key: pl.Expr, row: pl.Expr) -> pl.Expr:
    """Whether a row has the figure of the last that stays, and comes behind it by its key and row."""
    later = (pl.col("key") > key) | ((pl.col("key") == key) & (pl.col("row") > row))
    return (pl.col(column) == figure) & later
