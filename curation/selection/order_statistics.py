"""The k-th smallest value of a column that is too long to be sorted in memory."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any

import polars as pl

CANDIDATES = 2_000_000
"""A column of no more values is looked at as a whole; of a longer one, those near the place that is asked for."""
_SAMPLE = 65_536
_MARGIN = 6
"""Standard deviations of a sampled rank on either side of the place: a miss is one in a billion, and is noticed."""


@dataclass(frozen=True, slots=True)
class OrderStatistic:
    """A value and where it stands.

    Attributes:
        value: The value.
        smaller: Rows with a smaller one.
        equal: Rows with the same one, at least 1.
    """

    value: Any
    smaller: int
    equal: int


def order_statistic(
    frame: pl.LazyFrame, column: str, place: int, count: int, candidates: int = CANDIDATES
) -> OrderStatistic:
    """The value at a place of a column's ascending order, exactly.

    A sample tells between which two values it lies; the distinct values between those are counted. So the frame is read
    twice, and memory is bounded by `candidates` or by 5 % of the rows, whichever is more.

    Args:
        frame: `row` (integer) and the column (numbers without NaN, or text); nulls have no place.
        column: Whose order it is.
        place: From 0, less than the number of values.
        count: How many values there are.
        candidates: Values up to which no sample is taken.

    Raises:
        IndexError: There is no such place.
    """
    values = frame.select("row", pl.col(column).alias("value")).drop_nulls("value")
    if not 0 <= place < count:
        raise IndexError(f"{column} has {count} values, so none at place {place}")
    if count > candidates:
        found = _between(values, place, *_bracket(values, place, count))
        if found is not None:
            return found
    found = _between(values, place, None, None)
    assert found is not None
    return found


def _bracket(values: pl.LazyFrame, place: int, count: int) -> tuple[Any, Any]:
    """Two values between which that at the place almost certainly lies, None for no bound."""
    # Which rows are sampled changes how long the search takes, never what it finds.
    sampled = pl.col("row").hash() % (count // _SAMPLE + 1) == 0
    sample = values.filter(sampled).select("value").collect(engine="streaming").to_series().sort()
    expected = place * len(sample) // count
    margin = _MARGIN * (isqrt(len(sample)) // 2 + 1)
    low, high = expected - margin, expected + margin
    return (sample[low] if low >= 0 else None), (sample[high] if high < len(sample) else None)


def _between(values: pl.LazyFrame, place: int, low: Any, high: Any) -> OrderStatistic | None:
    """Looks for the place among the values from `low` to `high`; None if it lies outside."""
    value = pl.col("value")
    inside = pl.lit(True)
    below = pl.lit(False)
    if low is not None:
        inside, below = inside & (value >= low), value < low
    if high is not None:
        inside = inside & (value <= high)
    # Both are counted in one pass, smaller values as null.
    counted = (
        values.filter(inside | below)
        .select(pl.when(inside).then(value))
        .group_by("value")
        .len("rows")
        .collect(engine="streaming")
        .sort("value", nulls_last=True)
    )
    smaller = 0
    if counted["value"].null_count():
        smaller, counted = int(counted["rows"][-1]), counted.head(-1)
    behind = counted["rows"].cast(pl.Int64).cum_sum() + smaller
    at = int((behind <= place).sum())
    if place < smaller or at == len(counted):
        return None
    equal = int(counted["rows"][at])
    return OrderStatistic(counted["value"][at], int(behind[at]) - equal, equal)
