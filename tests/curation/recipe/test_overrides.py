"""`--set a.b=c`: one value is replaced, or the message says why not."""

import copy

import pytest

from curation.errors import RecipeError
from curation.recipe.overrides import apply_overrides

VALUES = {
    "name": "web",
    "source": {"kind": "url_table", "path": "a.csv"},
    "steps": [
        {"kind": "text_rules", "min_words": 1, "absent": None},
        {"kind": "select", "name": "by_score", "rules": [{"column": "clip_score", "min": 0.2}, {"where": "width > 3"}]},
        {"kind": "select"},
    ],
}


def overridden(*overrides):
    values = copy.deepcopy(VALUES)
    apply_overrides(values, overrides)
    return values


def changed_at(values, *path):
    for part in path:
        values = values[part]
    return values


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("source.path=b.csv", ("source", "path"), "b.csv"),
        ("name=other", ("name",), "other"),
        ("text_rules.min_words=5", ("steps", 0, "min_words"), 5),
        ("text_rules.max_words=null", ("steps", 0, "max_words"), None),
        ("select.rules=[]", ("steps", 2, "rules"), []),
        ("by_score.rules.0.min=1e-3", ("steps", 1, "rules", 0, "min"), 0.001),
        ("by_score.rules.clip_score.min=0.5", ("steps", 1, "rules", 0, "min"), 0.5),
        ("steps.1.rules.0.min=0.5", ("steps", 1, "rules", 0, "min"), 0.5),
        ("by_score.rules.1.where=a = 'b'", ("steps", 1, "rules", 1, "where"), "a = 'b'"),
        ("by_score.rules=[]", ("steps", 1, "rules"), []),
        ("by_score.clip_score.min=0.5", ("steps", 1, "rules", 0, "min"), 0.5),
        ("steps.by_score.clip_score.min=0.5", ("steps", 1, "rules", 0, "min"), 0.5),
        ("by_score.rules.0={column: width, min: 3}", ("steps", 1, "rules", 0), {"column": "width", "min": 3}),
        ("text_rules.nested.bound=7", ("steps", 0, "nested"), {"bound": 7}),
        ("text_rules.absent.bound=7", ("steps", 0, "absent"), {"bound": 7}),
        ("run.part_rows=7", ("run", "part_rows"), 7),
        ("run.placement.fetch=near", ("run", "placement"), {"fetch": "near"}),
        (" name =x", ("name",), "x"),
        ("name=", ("name",), None),
    ],
)
def test_the_value_is_replaced_when_the_path_leads_to_it(override, path, value):
    values = overridden(override)
    assert changed_at(values, *path) == value


def test_nothing_else_changes_when_one_value_is_replaced():
    values = overridden("by_score.rules.0.min=0.5")
    values["steps"][1]["rules"][0]["min"] = 0.2
    assert values == VALUES


def test_the_last_one_counts_when_a_value_is_set_twice():
    assert overridden("name=a", "name=b")["name"] == "b"


def ruled(override, **settings):
    rules = [
        {"column": "width", "min": 1},
        {"name": "width", "column": "height", "min": 2},
        {"column": "score", "min_quantile": 0.1},
        {"column": "score", "max_quantile": 0.9},
        {"column": "by", "min": 3},
    ]
    values = {"steps": [{"kind": "select", "rules": rules, **settings}]}
    apply_overrides(values, [override])
    return values["steps"][0]


def test_a_rule_is_found_by_its_own_name_first_when_another_looks_at_a_column_of_that_name():
    assert [rule.get("min") for rule in ruled("select.width.min=9")["rules"]] == [1, 9, None, None, 3]


def test_a_setting_of_the_step_comes_first_when_a_rule_has_its_name():
    step = ruled("select.by.min=9", by={"min": 0})
    assert (step["by"], step["rules"][4]["min"]) == ({"min": 9}, 3)
    assert ruled("select.by.min=9")["rules"][4]["min"] == 9


def test_the_message_asks_which_is_meant_when_several_rules_look_at_a_column():
    with pytest.raises(RecipeError) as caught:
        ruled("select.score.min_quantile=0.2")
    assert str(caught.value) == (
        "--set select.score.min_quantile=0.2: 2 rules go by 'score'; name the one that is meant by its place, such as "
        "rules.2"
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("name", "--set name: write it as path=value, such as select.rules.0.min=0.25"),
        ("=3", "--set =3: write it as path=value, such as select.rules.0.min=0.25"),
        ("a..b=3", "--set a..b=3: write it as path=value, such as select.rules.0.min=0.25"),
        ("text_rule.min_words=3", "--set text_rule.min_words=3: there is no 'text_rule'; did you mean 'text_rules'?"),
        ("suorce.path=3", "--set suorce.path=3: there is no 'suorce'; did you mean 'source'?"),
        (
            "zzz.path=3",
            "--set zzz.path=3: there is no 'zzz'; known are name, source, steps, text_rules, by_score, select",
        ),
        (
            "by_score.rules.clip_scor.min=3",
            "--set by_score.rules.clip_scor.min=3: there is no entry 'clip_scor'; did you mean 'clip_score'?",
        ),
        (
            "by_score.clip_scor.min=3",
            "--set by_score.clip_scor.min=3: there is no 'clip_scor'; did you mean 'clip_score'?",
        ),
        ("by_score.rules.7.min=3", "--set by_score.rules.7.min=3: there is no entry '7'; known are clip_score, 1"),
        ("by_score.rules.7=3", "--set by_score.rules.7=3: '7' names nothing that can be set"),
        ("text_rules.min_words.x=3", "--set text_rules.min_words.x=3: 'x' names nothing that can be set"),
        ("text_rules.min_words.x.y=3", "--set text_rules.min_words.x.y=3: there is no entry 'x'"),
        ("name.x.y=3", "--set name.x.y=3: there is no entry 'x'"),
    ],
)
def test_the_message_says_what_to_write_when_the_path_leads_nowhere(override, message):
    with pytest.raises(RecipeError) as caught:
        overridden(override)
    assert str(caught.value) == message


def test_the_override_is_named_when_its_value_is_no_yaml():
    with pytest.raises(RecipeError, match=r"^--set name=\[1:1: not valid YAML"):
        overridden("name=[1")
