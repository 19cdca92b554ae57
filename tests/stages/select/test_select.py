import json
import random
import re
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from curation.errors import RecipeError
from curation.key_draws import key_draw, purpose_seed
from curation.row_keys import row_keys
from stages.select.select import Select, SelectConfig

NAN = float("nan")


def _select(*rules: dict[str, Any]) -> Select:
    return Select(SelectConfig.model_validate_json(json.dumps({"rules": rules})))


def _frame(**columns: list[Any] | pl.Series) -> pl.DataFrame:
    count = len(next(iter(columns.values())))
    given = {"row": list(range(count)), "key": [f"{row:032x}" for row in range(count)]}
    return pl.DataFrame({**given, **columns})


def _verdicts(select: Select, frame: pl.DataFrame) -> list[tuple[str | None, str | None]]:
    decided = select.decide(frame.lazy()).collect()
    assert decided.columns == ["row", "reason", "detail"]
    assert sorted(decided["row"].to_list()) == sorted(frame["row"].to_list())
    return decided.sort("row").select("reason", "detail").rows()


def _kept(select: Select, frame: pl.DataFrame) -> list[int]:
    return [row for row, (reason, _) in enumerate(_verdicts(select, frame)) if reason is None]


def test_row_is_rejected_when_its_figure_is_past_a_bound() -> None:
    select = _select({"column": "width", "min": 100, "max": 200})
    assert _verdicts(select, _frame(width=[99, 100, 200, 201, None])) == [
        ("min_width", "width 99 < 100.0"),
        (None, None),
        (None, None),
        ("max_width", "width 201 > 200.0"),
        ("min_width", "width is null"),
    ]


def test_bound_of_a_single_precision_column_is_met_when_the_figure_is_the_same_number() -> None:
    scores = pl.Series([0.2, 0.19999999, 0.3, 0.30000004, NAN, float("inf")], dtype=pl.Float32)
    select = _select({"column": "clip_score", "min": 0.2, "max": 0.3, "name": "right"})
    verdicts = _verdicts(select, _frame(clip_score=scores))
    assert [reason for reason, _ in verdicts] == [None, "right", None, "right", "right", "right"]
    assert verdicts[4][1] == "clip_score is null"


@pytest.mark.parametrize(
    ("fraction", "rows", "room"),
    [(0.3, 10, 3), (0.31, 10, 4), (0.07, 100, 7), (1.0, 4, 4), (0.001, 5, 1), (0.5, 1, 1), (0.1, 30, 3)],
)
def test_top_fraction_keeps_an_exact_number_when_all_have_a_figure(fraction: float, rows: int, room: int) -> None:
    scores = [float(row) for row in range(rows)]
    select = _select({"column": "score", "top_fraction": fraction})
    assert _kept(select, _frame(score=scores)) == list(range(rows - room, rows))


def test_smaller_keys_stay_when_figures_are_tied() -> None:
    frame = _frame(score=[0.5, 0.9, 0.5, 0.5, 0.1]).with_columns(key=pl.Series(["c", "e", "a", "b", "d"]))
    verdicts = _verdicts(_select({"column": "score", "top_fraction": 0.6}), frame)
    assert verdicts == [
        ("top_score", "score 0.5 is the least of the top 0.6, taken by smaller keys"),
        (None, None),
        (None, None),
        (None, None),
        ("top_score", "score 0.1 < 0.5, the least of the top 0.6"),
    ]


def test_top_fraction_is_of_the_rows_alive_when_earlier_rules_rejected_some() -> None:
    select = _select({"column": "width", "min": 10}, {"column": "score", "top_fraction": 0.5})
    frame = _frame(width=[5, 5, 10, 10, 10, 10], score=[0.9, 0.8, 0.1, 0.2, 0.3, 0.4])
    assert _kept(select, frame) == [4, 5]


def test_rows_without_a_figure_count_but_never_stay_when_a_fraction_is_taken() -> None:
    select = _select({"column": "score", "top_fraction": 0.5})
    assert _kept(select, _frame(score=[None, None, 0.1, 0.2, NAN, 0.3])) == [2, 3, 5]
    assert _kept(select, _frame(score=[None, None, 0.1, 0.2])) == [2, 3]
    nothing = _verdicts(select, _frame(score=pl.Series([None, NAN], dtype=pl.Float32)))
    assert nothing == [("top_score", "score is null")] * 2


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [
        ({"min_quantile": 0.3}, [3, 4, 5, 6, 7, 8, 9]),
        ({"max_quantile": 0.3}, [0, 1, 2]),
        ({"min_quantile": 0.35}, [3, 4, 5, 6, 7, 8, 9]),
        ({"max_quantile": 0.35}, [0, 1, 2, 3]),
        ({"min_quantile": 0.2, "max_quantile": 0.7}, [2, 3, 4, 5, 6]),
        ({"max_quantile": 0.01}, [0]),
        ({"min_quantile": 0.99}, [9]),
    ],
)
def test_quantiles_cut_the_figures_where_they_say_when_all_differ(bounds: dict[str, float], kept: list[int]) -> None:
    select = _select({"column": "score", **bounds})
    assert _kept(select, _frame(score=[row / 10 for row in range(10)])) == kept


def test_all_that_equal_the_quantile_stay_when_figures_are_tied() -> None:
    frame = _frame(score=pl.Series([0.1, 0.2, 0.2, 0.2, 0.3, None], dtype=pl.Float32))
    # Of five figures two go: the third smallest is 0.2, and so is the second.
    assert _verdicts(_select({"column": "score", "min_quantile": 0.4}), frame) == [
        ("min_quantile_score", "score 0.1 < 0.2, the quantile 0.4"),
        *[(None, None)] * 4,
        ("min_quantile_score", "score is null"),
    ]
    # Two stay: the second smallest is 0.2, and two more equal it.
    assert _verdicts(_select({"column": "score", "max_quantile": 0.4}), frame)[4:] == [
        ("max_quantile_score", "score 0.3 > 0.2, the quantile 0.4"),
        ("max_quantile_score", "score is null"),
    ]


def test_quantiles_are_of_the_rows_alive_when_earlier_rules_rejected_some() -> None:
    select = _select({"column": "width", "min": 10}, {"column": "score", "min_quantile": 0.5})
    frame = _frame(width=[5, 5, 10, 10, 10, 10], score=[0.9, 0.8, 0.1, 0.2, 0.3, 0.4])
    assert _kept(select, frame) == [4, 5]
    assert _kept(_select({"column": "width", "min": 99}, {"column": "score", "min_quantile": 0.5}), frame) == []


def test_so_many_rows_stay_when_the_top_is_counted() -> None:
    select = _select({"column": "score", "top_rows": 2})
    assert _verdicts(select, _frame(score=[0.5, 0.9, 0.5, None, 0.1])) == [
        (None, None),
        (None, None),
        ("top_score", "score 0.5 is the least of the top 2 rows, taken by smaller keys"),
        ("top_score", "score is null"),
        ("top_score", "score 0.1 < 0.5, the least of the top 2 rows"),
    ]
    assert _kept(_select({"column": "score", "top_rows": 9}), _frame(score=[0.5, None, 0.1])) == [0, 2]


def test_the_best_of_each_group_stay_when_groups_have_a_quota() -> None:
    select = _select({"max_per_group": 2, "by": ["host", "licence"], "column": "score"})
    frame = _frame(
        host=["a", "a", "a", "a", "b", "b", None],
        licence=[1, 1, 1, 1, 1, 2, 1],
        score=[0.1, 0.4, 0.4, 0.4, 0.0, None, 0.9],
    )
    assert _verdicts(select, frame) == [
        ("max_per_host_licence", "score 0.1 < 0.4, the last of 2 with host=a, licence=1"),
        (None, None),
        (None, None),
        ("max_per_host_licence", "score 0.4, the last of 2 with host=a, licence=1, taken by smaller keys"),
        (None, None),
        ("max_per_host_licence", "score is null"),
        ("max_per_host_licence", "host is null"),
    ]


def test_rows_of_a_group_are_drawn_when_a_quota_has_no_column() -> None:
    keys = row_keys("drawn", [str(row) for row in range(400)], [None] * 400)
    frame = _frame(host=["a"] * 300 + ["b"] * 99 + ["c"]).with_columns(key=pl.Series(keys))
    first = _kept(_select({"max_per_group": 40, "by": ["host"]}), frame)
    assert [sum(low <= row < high for row in first) for low, high in ((0, 300), (300, 399), (399, 400))] == [40, 40, 1]
    seed = purpose_seed("select.max_per_host", 0)
    assert first[:40] == sorted(sorted(range(300), key=lambda row: key_draw(keys[row], seed))[:40])
    other = _kept(_select({"max_per_group": 40, "by": ["host"], "seed": 1}), frame)
    # By chance 40 of 300 and 40 of 300 have about 5 in common, and 40 of 99 and 40 of 99 about 16.
    assert len(set(first) & set(other)) < 45
    reason, detail = _verdicts(_select({"max_per_group": 40, "by": ["host"]}), frame)[
        next(row for row in range(300) if row not in first)
    ]
    assert reason == "max_per_host"
    assert re.fullmatch(r"draw 0\.\d+ > 0\.\d+, the last of 40 with host=a", str(detail))


def test_condition_rejects_when_it_is_false_or_open() -> None:
    select = _select({"where": "score >= 0.3 AND width < 200"})
    frame = _frame(score=[0.3, 0.2, None, NAN], width=[100, 100, 100, 300], unread=["x", "x", "x", "x"])
    assert _verdicts(select, frame) == [
        (None, None),
        ("where_1", "score=0.2, width=100: not score >= 0.3 AND width < 200"),
        ("where_1", "score=null, width=100: not score >= 0.3 AND width < 200"),
        ("where_1", "score=null, width=300: not score >= 0.3 AND width < 200"),
    ]


def test_first_broken_rule_is_named_when_a_row_breaks_several() -> None:
    select = _select(
        {"column": "width", "min": 10},
        {"where": "text_language = 'en'", "name": "english"},
        {"column": "score", "min": 0.5},
    )
    frame = _frame(width=[1, 20, 20, 20], text_language=["de", "de", "en", "en"], score=[0.1, 0.1, 0.1, 0.5])
    assert [reason for reason, _ in _verdicts(select, frame)] == ["min_width", "english", "min_score", None]


def test_lists_are_not_spelled_out_when_a_condition_reads_them() -> None:
    select = _select({"where": "array_length(tags) > 1"})
    frame = _frame(tags=[["a"], ["a", "b"], None])
    assert _verdicts(select, frame) == [
        ("where_1", "tags=[...]: not array_length(tags) > 1"),
        (None, None),
        ("where_1", "tags=[...]: not array_length(tags) > 1"),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_verdicts_equal_brute_force_when_rows_are_random_and_shuffled(seed: int) -> None:
    draws = random.Random(seed)
    scores = [draws.choice([None, NAN, 0.1, 0.2, 0.25, 0.3, 0.4]) for _ in range(200)]
    widths = [draws.choice([None, 50, 100, 300]) for _ in range(200)]
    frame = _frame(score=scores, width=widths)
    select = _select(
        {"column": "width", "min": 100}, {"column": "score", "top_fraction": 0.37}, {"where": "width < 200"}
    )
    alive = [row for row in range(200) if widths[row] is not None and widths[row] >= 100]
    room = -(-37 * len(alive) // 100)
    measured = [row for row in alive if scores[row] is not None and scores[row] == scores[row]]
    top = sorted(measured, key=lambda row: (-scores[row], row))[:room]  # type: ignore[operator]
    expected = sorted(row for row in top if widths[row] < 200)  # type: ignore[operator]
    assert _kept(select, frame) == expected
    order = draws.sample(range(200), 200)
    assert _verdicts(select, frame[order]) == _verdicts(select, frame)


def test_frame_may_be_empty_when_rules_of_every_form_judge() -> None:
    select = _select(
        {"column": "a", "min": 1},
        {"column": "a", "top_fraction": 0.5},
        {"where": "a > 1"},
        {"column": "a", "min_quantile": 0.1, "max_quantile": 0.9},
        {"max_per_group": 1, "by": ["row"]},
    )
    frame = _frame(a=pl.Series([], dtype=pl.Float32)).cast({"row": pl.Int64, "key": pl.String})
    decided = select.decide(frame.lazy()).collect()
    assert decided.schema == {"row": pl.Int64, "reason": pl.String, "detail": pl.String}
    assert decided.is_empty()


def test_columns_of_all_rules_are_required_when_they_are_read() -> None:
    select = _select(
        {"column": "clip_score", "min": 0.2},
        {"where": "width / height < 3 OR licence = 'cc0'"},
        {"where": "row > 5 AND clip_score < 1"},
        {"max_per_group": 5, "by": ["text_language", "key"], "column": "pdq_quality"},
    )
    assert select.spec.requires == ("clip_score", "height", "licence", "width", "text_language", "pdq_quality")


def test_simple_form_is_read_when_it_comes_as_json() -> None:
    recipe = {"kind": "select", "rules": [{"column": "clip_score", "min": 0.2}, {"where": "width > 5"}]}
    config = SelectConfig.model_validate_json(json.dumps(recipe))
    assert [rule.columns for rule in config.rules] == [("clip_score",), ("width",)]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([], "at least 1"),
        ([{"column": "a"}], "has either min, max or both, or min_quantile, max_quantile or both, or top_fraction, or "),
        ([{"min": 1}], "needs a column"),
        ([{"column": "a", "min": 1, "top_fraction": 0.5}], "has either"),
        ([{"column": "a", "where": "a > 1"}], "a rule with where has no column"),
        ([{"column": "a", "min": 2, "max": 1}], "min 2.0 is larger than max 1.0"),
        ([{"column": "a", "top_fraction": 0.0}], "greater than 0"),
        ([{"column": "a", "min": 1, "min_quantile": 0.5}], "has either"),
        ([{"column": "a", "min_quantile": 0.5, "max_quantile": 0.5}], "0.5 is not smaller than max_quantile 0.5"),
        ([{"column": "a", "max_quantile": 1.0}], "less than 1"),
        ([{"top_rows": 5}], "needs a column"),
        ([{"column": "a", "top_rows": 0}], "greater than or equal to 1"),
        ([{"max_per_group": 5}], "max_per_group and by belong together"),
        ([{"column": "a", "min": 1, "by": ["b"]}], "max_per_group and by belong together"),
        ([{"max_per_group": 5, "by": ["b", "b"]}], "by names a column twice"),
        ([{"max_per_group": 5, "by": ["a"]}, {"max_per_group": 9, "by": ["a"]}], "two rules are called 'max_per_a'"),
        ([{"column": "a", "top_fraction": 30}], "less than or equal to 1"),
        ([{"where": "a > (SELECT 1)"}], "SELECT at character 6: a subquery is not allowed"),
        ([{"where": "a >"}], "no condition in polars SQL"),
        ([{"column": "a", "min": 1}, {"column": "a", "min": 2}], "two rules are called 'min_a'"),
        ([{"column": "a", "min": "1"}], "valid number"),
        ([{"colum": "a", "min": 1}], "colum"),
    ],
)
def test_config_is_refused_when_a_rule_is_impossible(rules: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SelectConfig.model_validate_json(json.dumps({"kind": "select", "rules": rules}))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"column": "text", "min": 1}, r"select.rules.0: text is of type String, which has no order"),
        ({"column": "image", "min": 1}, r"select.rules.0: rows cannot be selected by image"),
        ({"column": "fetch_s", "max": 1}, r"rows cannot be selected by fetch_s"),
        ({"where": "text > 1"}, r"select.rules.0.where: 'text > 1' does not fit its columns"),
        ({"where": "width + 1"}, r"a condition is true or false"),
        ({"max_per_group": 1, "by": ["clip_score"]}, r"select.rules.0.by: clip_score is of type Float32, which makes"),
        ({"max_per_group": 1, "by": ["image"]}, r"rows cannot be selected by image"),
    ],
)
def test_check_refuses_when_a_registered_column_does_not_fit(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        _select(rule).check()


def test_check_leaves_carried_columns_alone_when_their_types_are_not_known() -> None:
    select = _select({"column": "licence", "min": 1}, {"where": "licence > width"})
    select.check()
    with pytest.raises(RecipeError, match=r"select.rules.0: licence is of type String"):
        select.decide(_frame(licence=["a"], width=[1]).lazy())
