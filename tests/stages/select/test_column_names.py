"""Columns that a source carries along may have any name: none meets a column that a step makes for itself."""

import json
from hashlib import sha256

import numpy as np
import polars as pl
import pytest

from curation.errors import RecipeError
from curation.internal_columns import PREFIX, is_internal
from schemas.columns import COLUMNS
from stages.catalogue import CATALOGUE

ROWS = 12
NAMES = """
group rows cap last_figure last_key last_row batch figure place broken drawn draw value entry entries bits number said
pair order order_0 count len measured language numbered equal gone similarity told cosine cluster alike of item distance
literal path row_right key_right _place _broken _drawn _quota_drawn _over_quota_cap index
"""
SPOKEN = [*NAMES.split(), "no key", "order 0", 'a "quoted" name', "ein Maß"]


def _digits(number):
    return sha256(str(number).encode()).hexdigest()


FEW = ["a", "a", "b", "a", "b", "a", "c", "b", "a", "a", "c", "a"]
FIGURES = [5, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]
TEXTS = ["a red boat", "red boat", "two cats", "a red boat", "cats", "Two cats!", None, "dog", "a", "b", "c", "d"]
HASHES = [_digits(number % 5) for number in range(ROWS)]
VECTORS = np.random.default_rng(3).normal(size=(4, 8))[np.arange(ROWS) % 4].tolist()
CASES = {
    "quota": (FEW, "select", lambda name: {"rules": [{"name": "quota", "by": [name], "max_per_group": 2}]}),
    "quota of two": (FEW, "select", lambda name: {"rules": [{"name": "q", "by": [name, "url"], "max_per_group": 1}]}),
    "best": (
        FIGURES,
        "select",
        lambda name: {"rules": [{"name": "q", "by": ["url"], "max_per_group": 1, "column": name}]},
    ),
    "top rows": (FIGURES, "select", lambda name: {"rules": [{"name": "q", "column": name, "top_rows": 5}]}),
    "top fraction": (FIGURES, "select", lambda name: {"rules": [{"name": "q", "column": name, "top_fraction": 0.3}]}),
    "quantile": (FIGURES, "select", lambda name: {"rules": [{"name": "q", "column": name, "min_quantile": 0.3}]}),
    "range": (FIGURES, "select", lambda name: {"rules": [{"name": "q", "column": name, "min": 3, "max": 8}]}),
    "two rules": (
        FIGURES,
        "select",
        lambda name: {
            "rules": [
                {"name": "p", "by": [name], "max_per_group": 2},
                {"name": "q", "by": [name], "max_per_group": 1, "column": name},
            ]
        },
    ),
    "capped groups": (FEW, "balance_groups", lambda name: {"by": [name], "max_per_group": 2}),
    "shared groups": (FEW, "balance_groups", lambda name: {"by": [name], "rows": 6, "temperature": 0.5}),
    "best of groups": (
        FIGURES,
        "balance_groups",
        lambda name: {"by": ["url"], "rows": 5, "temperature": 0.0, "column": name},
    ),
    "texts": (TEXTS, "deduplicate_text", lambda name: {"column": name, "prefer": ["longest_text"]}),
    "repeats": (TEXTS, "limit_repeats", lambda name: {"column": name, "max_images_per_text": 1}),
    "variants": (
        HASHES,
        "deduplicate",
        lambda name: {
            "exact": ["image", "url", "pair"],
            "perceptual": {"variants": [name]},
            "prefer": ["largest", "longest_text"],
        },
    ),
    "vectors": (VECTORS, "deduplicate_semantic", lambda name: {"column": name, "clusters": 2}),
}


EVALUATED = {"url": ["i", "j"]}


@pytest.fixture
def files(tmp_path):
    """Puts files beside the settings of the two steps that read some."""
    (tmp_path / "entries.txt").write_text("cat\nred\nboat\n")

    def balanced(name):
        entries = str(tmp_path / "entries.txt")
        return {"metadata": entries, "column": name, "max_per_entry": 1, "choose": "exactly"}

    def held_out(name):
        pl.DataFrame({**EVALUATED, name: VECTORS[:2]}).write_parquet(tmp_path / "table.parquet")
        sets = [{"name": "zz", "path": str(tmp_path / "table.parquet")}]
        return {"sets": sets, "sha256": False, "pdq": None, "descriptor": {"column": name, "min_cosine": 0.99}}

    return {"balance_metadata": (TEXTS, balanced), "decontaminate": (VECTORS, held_out)}


@pytest.mark.parametrize("kind", ["balance_metadata", "decontaminate"])
def test_verdicts_are_the_same_when_files_are_read_and_a_column_has_such_a_name(kind, files):
    values, settings = files[kind]
    plain = _decided(kind, settings("zzz"), _frame("zzz", values))
    assert 0 < plain["reason"].count() < ROWS
    for name in SPOKEN:
        renamed = plain.with_columns(pl.col("detail").str.replace_all("zzz", name, literal=True))
        assert _decided(kind, settings(name), _frame(name, values)).equals(renamed), name


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("balance_metadata", {"column": "row"}, "column row holds no texts"),
        ("balance_metadata", {"column": "clip_score"}, "column clip_score holds no texts"),
        ("decontaminate", {"descriptor": {"column": "sha256"}}, r"descriptor\.column: sha256 holds no vectors"),
        ("deduplicate_semantic", {"column": "row"}, "column row holds no vectors"),
        ("deduplicate_text", {"column": "row"}, "column row holds no texts"),
        ("limit_repeats", {"column": "row"}, "column row holds no texts"),
        ("select", {"rules": [{"column": "key", "top_rows": 3}]}, "key is of type String, which has no order"),
        ("balance_groups", {"by": ["url"], "max_per_group": 1, "column": "key"}, "key is of type String"),
    ],
)
def test_a_column_is_refused_before_the_start_when_it_is_none_of_the_step(kind, settings, message, files):
    given = {"metadata": files["balance_metadata"][1]("x")["metadata"]} if kind == "balance_metadata" else {}
    given = {"sets": files["decontaminate"][1]("x")["sets"]} if kind == "decontaminate" else given
    made = CATALOGUE.exchanges[kind]
    exchange = made(made.Config.model_validate_json(json.dumps({"kind": kind, **given, **settings})))
    with pytest.raises(RecipeError, match=message):
        exchange.check()


def _frame(name, values):
    given = {
        "row": range(ROWS),
        "key": [_digits(row)[:32] for row in range(ROWS)],
        "url": [f"http://{row % 3}.org/" for row in range(ROWS)],
        "text": TEXTS,
        "text_chars": [len(text or "") for text in TEXTS],
        "sha256": [_digits(row // 2) for row in range(ROWS)],
        "pdq": HASHES[::-1],
        "pdq_quality": [100] * ROWS,
        "original_width": range(ROWS),
        "original_height": [3] * ROWS,
    }
    return pl.DataFrame({**given, name: values})


def _verdicts(case, name):
    values, kind, settings = CASES[case]
    return _decided(kind, settings(name), _frame(name, values))


def _decided(kind, settings, frame):
    made = CATALOGUE.exchanges[kind]
    exchange = made(made.Config.model_validate_json(json.dumps({"kind": kind, **settings})))
    exchange.check()
    asked = list(dict.fromkeys(["row", "key", *exchange.spec.requires]))
    return exchange.decide(frame.select(asked).lazy()).collect().sort("row")


@pytest.mark.parametrize("case", CASES)
def test_verdicts_are_the_same_when_a_column_has_a_name_that_a_step_might_use(case):
    plain = _verdicts(case, "zzz")
    assert 0 < plain["reason"].count() < ROWS
    for name in SPOKEN:
        renamed = plain.with_columns(pl.col("detail").str.replace_all("zzz", name, literal=True))
        assert _verdicts(case, name).equals(renamed), name


@pytest.mark.parametrize(
    "rule",
    [
        {"top_rows": 5},
        {"top_fraction": 0.4},
        {"min_quantile": 0.3},
        {"max_quantile": 0.3},
        {"min": 3},
        {"max_per_group": 1, "by": ["url"]},
        {"max_per_group": 1, "by": ["url", "row"]},
    ],
)
@pytest.mark.parametrize("bystander", ["rows", "cap", "group"])
def test_rows_are_judged_by_their_position_when_the_column_is_row(rule, bystander):
    frame = _frame("copied", list(range(ROWS))).with_columns(pl.lit("x").alias(bystander))
    told = _decided("select", {"rules": [{"name": "q", "column": "row", **rule}]}, frame)
    by = [name.replace("row", "copied") for name in rule.get("by", [])]
    copied = {**rule, **({"by": by} if by else {})}
    expected = _decided("select", {"rules": [{"name": "q", "column": "copied", **copied}]}, frame)
    assert told.equals(expected.with_columns(pl.col("detail").str.replace_all("copied", "row")))


def test_the_last_rows_stay_when_the_best_are_those_with_the_largest_position():
    frame = _frame("copied", FEW)
    told = _decided("select", {"rules": [{"column": "row", "top_rows": 2}]}, frame)
    assert told.filter(pl.col("reason").is_null())["row"].to_list() == [10, 11]
    grouped = _decided("balance_groups", {"by": ["copied"], "max_per_group": 1, "column": "row"}, frame)
    assert grouped.filter(pl.col("reason").is_null())["row"].to_list() == [7, 10, 11]


def test_no_column_of_the_pipeline_has_a_name_that_is_for_steps():
    assert is_internal(f"{PREFIX}x")
    assert not [name for name in COLUMNS if is_internal(name)]
