import random

import polars as pl
import pytest

from curation.selection.order_statistics import OrderStatistic, order_statistic


def _frame(values, dtype=None):
    return pl.LazyFrame({"row": range(len(values)), "figure": pl.Series(values, dtype=dtype)})


def test_a_value_comes_with_its_place_when_it_is_tied():
    frame = _frame([0.5, 0.1, None, 0.5, 0.9, 0.5])
    assert order_statistic(frame, "figure", 0, 5) == OrderStatistic(0.1, 0, 1)
    assert order_statistic(frame, "figure", 1, 5) == order_statistic(frame, "figure", 3, 5) == OrderStatistic(0.5, 1, 3)
    assert order_statistic(frame, "figure", 4, 5) == OrderStatistic(0.9, 4, 1)


@pytest.mark.parametrize("place", [-1, 5])
def test_there_is_no_value_when_the_place_is_past_the_end(place):
    with pytest.raises(IndexError, match=f"figure has 5 values, so none at place {place}"):
        order_statistic(_frame([1, 2, 3, 4, None, 5]), "figure", place, 5)


@pytest.mark.parametrize(
    "draw",
    [
        lambda draws: draws.choice([float("inf"), float("-inf"), draws.gauss(0, 1)]),
        lambda draws: draws.randrange(2**62, 2**62 + 3000),
        lambda draws: f"{draws.randrange(2**40):x}",
        lambda draws: draws.randrange(3),
    ],
    ids=["floats", "whole numbers past those of floats", "texts", "ties"],
)
def test_the_value_is_that_of_the_sorted_column_when_it_is_found_by_sampling(draw):
    draws = random.Random(0)
    values = [draw(draws) for _ in range(200_000)]
    frame = _frame(values)
    ascending = sorted(values)
    for place in (0, 1, 70_001, 199_999):
        found = order_statistic(frame, "figure", place, 200_000, candidates=1000)
        assert found.value == ascending[place]
        assert found.smaller == ascending.index(found.value)
        assert found.equal == values.count(found.value)


def test_the_value_is_found_when_the_sample_misleads():
    # Every sampled row is one of the small ones, so the bracket lies below the place.
    rows = pl.DataFrame({"row": range(200_000)}).with_columns(sampled=pl.col("row").hash() % 4 == 0)
    frame = rows.with_columns(figure=pl.when("sampled").then(pl.col("row")).otherwise(pl.col("row") + 1_000_000))
    ascending = frame["figure"].sort()
    assert order_statistic(frame.lazy(), "figure", 100_000, 200_000, candidates=1000).value == ascending[100_000]
