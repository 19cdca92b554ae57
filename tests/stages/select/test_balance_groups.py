import json
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from curation.errors import RecipeError
from curation.key_draws import key_draw, purpose_seed
from curation.row_keys import row_keys
from stages.select.balance_groups import BalanceGroups, BalanceGroupsConfig


def _balance(**settings: Any) -> BalanceGroups:
    return BalanceGroups(BalanceGroupsConfig.model_validate_json(json.dumps(settings)))


def _frame(**columns: Any) -> pl.DataFrame:
    count = len(next(iter(columns.values())))
    keys = row_keys("groups", [str(row) for row in range(count)], [None] * count)
    return pl.DataFrame({"row": range(count), "key": keys, **columns})


def _verdicts(balance: BalanceGroups, frame: pl.DataFrame) -> pl.DataFrame:
    return balance.decide(frame.lazy()).collect().sort("row")


def test_the_drawn_rows_of_a_cluster_stay_when_it_has_too_many() -> None:
    clusters = [7] * 100 + [8] * 3 + [None]
    frame = _frame(semantic_cluster=clusters)
    verdicts = _verdicts(_balance(by=["semantic_cluster"], max_per_group=5), frame)
    seed = purpose_seed("balance_groups", 0)
    drawn = sorted(range(100), key=lambda row: key_draw(frame["key"][row], seed))
    kept = verdicts.filter(pl.col("reason").is_null())["row"].to_list()
    assert kept == sorted([*drawn[:5], 100, 101, 102])
    lost = drawn[5]
    assert verdicts["reason"][lost] == "over_quota"
    draws = [round(key_draw(frame["key"][row], seed), 6) for row in (lost, drawn[4])]
    assert verdicts["detail"][lost] == f"draw {draws[0]} > {draws[1]}, the last of 5 with semantic_cluster=7"
    assert verdicts.row(103) == (103, "no_group", "semantic_cluster is null")


def test_the_best_rows_stay_when_a_column_is_named() -> None:
    balance = _balance(by=["semantic_cluster"], max_per_group=1, column="clip_score")
    frame = _frame(semantic_cluster=[1, 1, 2, 2], clip_score=[0.1, 0.3, float("nan"), -0.5])
    assert _verdicts(balance, frame).select("reason", "detail").rows() == [
        ("over_quota", "clip_score 0.1 < 0.3, the last of 1 with semantic_cluster=1"),
        (None, None),
        ("no_figure", "clip_score is null"),
        (None, None),
    ]


def test_rows_are_shared_out_when_a_temperature_is_given() -> None:
    frame = _frame(cluster=["a"] * 100 + ["b"] * 36 + ["c"] * 16)
    verdicts = _verdicts(_balance(by=["cluster"], rows=40, temperature=0.5), frame)
    kept = frame.join(verdicts.filter(pl.col("reason").is_null()), on="row")
    assert kept["cluster"].value_counts().sort("cluster").rows() == [("a", 20), ("b", 12), ("c", 8)]


def test_a_group_may_have_no_room_when_there_are_fewer_rows_than_groups() -> None:
    verdicts = _verdicts(_balance(by=["cluster"], rows=1, temperature=0.0), _frame(cluster=["a", "b"]))
    assert verdicts.select("reason", "detail").rows() == [(None, None), ("over_quota", "no room for cluster=b")]


@pytest.mark.parametrize(
    "settings",
    [{}, {"rows": 5}, {"temperature": 0.5}, {"max_per_group": 5, "rows": 5, "temperature": 0.5}],
)
def test_config_is_refused_when_it_is_not_of_one_form(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="give either max_per_group, or rows and temperature"):
        _balance(by=["cluster"], **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"by": ["clip_score"]}, "balance_groups.by: clip_score is of type Float32, which makes no groups"),
        ({"by": ["image_embedding"]}, "rows cannot be balanced by image_embedding"),
        ({"by": ["text"], "column": "url"}, "balance_groups.column: url is of type String, which has no order"),
    ],
)
def test_check_refuses_when_a_column_does_not_fit(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        _balance(max_per_group=5, **settings).check()
