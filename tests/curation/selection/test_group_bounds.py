import random

import polars as pl
import pytest

from curation.selection.group_bounds import CAP, LAST_FIGURE, LAST_KEY, LAST_ROW, ROWS, group_bounds


def _caps(frame, by, cap):
    return frame.group_by(by).len(ROWS).with_columns(pl.lit(cap).alias(CAP))


def test_the_last_that_stays_is_told_when_a_group_has_more_rows_than_may_stay():
    frame = pl.DataFrame(
        {
            "row": [0, 1, 2, 3, 4, 5],
            "key": ["c", "a", "b", "e", "d", "f"],
            "host": ["x", "x", "x", "x", "y", "y"],
            "figure": [5, 5, 5, 9, 1, 2],
        }
    )
    bounds = group_bounds(frame.lazy(), ["host"], _caps(frame, ["host"], 2), "figure")
    # Of x, 9 stays and of the three fives that with the smallest key; y has no more than two.
    assert bounds.rows(named=True) == [{"host": "x", ROWS: 4, CAP: 2, LAST_FIGURE: 5, LAST_KEY: "a", LAST_ROW: 1}]
    smallest = group_bounds(frame.lazy(), ["host"], _caps(frame, ["host"], 1), "figure", largest=False)
    assert smallest.select("host", LAST_FIGURE, LAST_KEY).sort("host").rows() == [("x", 5, "a"), ("y", 1, "d")]


def test_there_is_no_last_row_when_nothing_of_a_group_may_stay():
    frame = pl.DataFrame({"row": [0, 1], "key": ["a", "b"], "host": ["x", "y"], "figure": [1, 2]})
    caps = pl.DataFrame({"host": ["x", "y"], ROWS: [1, 1], CAP: [0, 1]})
    assert group_bounds(frame.lazy(), ["host"], caps, "figure").rows() == [("x", 1, 0, None, None, None)]


@pytest.mark.parametrize("rows_at_once", [50, 400, 10_000])
@pytest.mark.parametrize("largest", [True, False])
def test_bounds_are_those_of_sorting_when_groups_are_searched_and_batched(rows_at_once, largest):
    draws = random.Random(rows_at_once)
    rows = [
        (row, f"{draws.randrange(40):02d}", draws.choice("aabbbbbbbcde"), draws.randrange(2), draws.randrange(9))
        for row in range(1000)
    ]
    frame = pl.DataFrame(rows, schema=["row", "key", "host", "side", "figure"], orient="row")
    by = ["host", "side"]
    bounds = group_bounds(frame.lazy(), by, _caps(frame, by, 17), "figure", largest=largest, rows_at_once=rows_at_once)
    found = {(host, side): last for host, side, _, _, *last in bounds.iter_rows()}
    for group in {(host, side) for _, _, host, side, _ in rows}:
        own = [(figure, key, row) for row, key, host, side, figure in rows if (host, side) == group]
        own.sort(key=lambda item: (-item[0] if largest else item[0], *item[1:]))
        assert found.get(group) == (list(own[16]) if len(own) > 17 else None)
