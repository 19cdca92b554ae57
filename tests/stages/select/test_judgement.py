import polars as pl
import pytest

from stages.select.judgement import Judgement


def judged(**columns):
    count = len(next(iter(columns.values())))
    rows = {"row": range(count), "key": [f"{row:032x}" for row in range(count)]}
    return Judgement(pl.LazyFrame({**rows, **columns}))


def figure_below(least):
    return pl.col("figure") < least


def test_row_is_told_of_the_first_bound_alone_when_it_breaks_two():
    judgement = judged(figure=[1, 5, None, 9])
    judgement.reject("low", figure_below(4), pl.format("{} is low", "figure"))
    judgement.reject("middling", figure_below(8), pl.format("{} is middling", "figure"))
    assert judgement.verdicts().collect().rows() == [
        (0, "low", "1 is low"),
        (1, "middling", "5 is middling"),
        (2, None, None),
        (3, None, None),
    ]
    assert judgement.alive().collect()["row"].to_list() == [2, 3]


def test_every_row_is_kept_when_there_is_no_bound():
    assert judged(figure=[1, 2]).verdicts().collect().rows() == [(0, None, None), (1, None, None)]


def test_verdicts_are_empty_when_there_are_no_rows():
    judgement = judged(figure=pl.Series([], dtype=pl.Int64))
    judgement.reject("low", figure_below(4), pl.lit("low"))
    verdicts = judgement.verdicts().collect()
    assert verdicts.columns == ["row", "reason", "detail"]
    assert verdicts.is_empty()


@pytest.mark.parametrize("most_bytes", [0, 16, 10_000])
def test_figures_are_those_of_the_living_whether_or_not_they_are_held(most_bytes):
    judgement = judged(figure=[1, 5, 6, 9], text=["a", "b", "c", "d"])
    judgement.reject("low", figure_below(4), pl.lit("low"))
    judgement.hold(["figure", "text"], most_bytes)
    judgement.reject("middling", pl.col("figure") == 5, pl.lit("middling"))
    assert judgement.figures("figure").collect()["figure"].to_list() == [6, 9]
    # This bound reads what is never held.
    judgement.reject("text", pl.col("text") == "d", pl.lit("d"))
    assert judgement.figures("figure").collect()["figure"].to_list() == [6]
