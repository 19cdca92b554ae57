"""YAML as a recipe needs it: no key twice, no word that turns into a boolean, every value with its line."""

import pytest

from curation.errors import RecipeError
from curation.recipe.yaml_document import parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("True", "True"),
        ("true", True),
        ("false", False),
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        ("-.5", -0.5),
        ("2.", 2.0),
        ("+3", 3),
        ("010", 10),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-02", "2024-01-02"),
        (".inf", ".inf"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'3'", "3"),
        ("'true'", "true"),
        ("1.2.3", "1.2.3"),
        ("-", [None]),
        ("e5", "e5"),
    ],
)
def test_a_scalar_is_what_yaml_1_2_says_when_parsed(text, value):
    parsed = parse_yaml(text, "x").values
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "r.yaml:3: a: the key stands here a second time; remove one"),
        ("s:\n  - x: 1\n    y:\n      z: 1\n      z: 1\n", "r.yaml:5: s.0.y.z: the key stands here a second time"),
        ('"a": 1\na: 2\n', "r.yaml:2: a: the key stands here a second time"),
        ("{a: 1, a: 1}", "r.yaml:1: a: the key stands here a second time"),
    ],
)
def test_the_second_line_is_named_when_a_key_stands_twice(text, message):
    with pytest.raises(RecipeError) as caught:
        parse_yaml(text, "r.yaml")
    assert str(caught.value).startswith(message)


def test_equal_keys_are_fine_when_they_stand_in_different_mappings():
    assert parse_yaml("a: {x: 1}\nb: {x: 1}\n", "x").values == {"a": {"x": 1}, "b": {"x": 1}}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", "r.yaml:3"),
        ("a: 1\n\tb: 2\n", "r.yaml:2"),
        ("a: 'open\n", "r.yaml:2"),
        ("a: *nothing\n", "r.yaml:1"),
        ("a: 1\n---\nb: 2\n", "r.yaml:2"),
        ("a: !!python/object:os.system {}\nb: !!python/name:os.system x\n", "r.yaml:2"),
    ],
)
def test_file_and_line_are_named_when_it_is_no_yaml(text, place):
    with pytest.raises(RecipeError, match="not valid YAML: ") as caught:
        parse_yaml(text, "r.yaml")
    assert str(caught.value).startswith(f"{place}: ")
    assert "\n" not in str(caught.value)


def test_each_value_has_its_line_when_asked_for_its_place():
    document = parse_yaml("a:\n  b: 1\n\n  c:\n    - x\n    - y: 2\n", "r.yaml")
    assert document.place(("a",)) == "r.yaml:1"
    assert document.place(("a", "c")) == "r.yaml:4"
    assert document.place(("a", "c", 1)) == "r.yaml:6"
    assert document.place(("a", "c", 1, "y")) == "r.yaml:6"


def test_the_nearest_line_around_it_is_named_when_a_value_is_not_there():
    document = parse_yaml("a:\n  b: 1\n", "r.yaml")
    assert document.place(("a", "missing", 3)) == "r.yaml:1"
    assert document.place(("missing",)) == "r.yaml:1"
    assert parse_yaml("", "r.yaml").place(("a",)) == "r.yaml"


def test_values_are_found_when_asked_for_by_path():
    document = parse_yaml("a: [{b: 1}]", "x")
    assert document.value_at(("a", 0, "b")) == 1
    assert document.value_at(("a", 1)) is None
    assert document.value_at(("a", 0, "b", "c")) is None
