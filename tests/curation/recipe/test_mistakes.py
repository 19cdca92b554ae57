"""Each mistake of a config becomes one line: the place, what is wrong, what would be right."""

import json
from typing import Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from curation.contracts.config import Config
from curation.recipe.mistakes import describe_mistakes, did_you_mean
from curation.recipe.yaml_document import parse_yaml


class ByRange(Config):
    kind: Literal["range"] = "range"
    low: float


class ByName(Config):
    name: str
    limit: int = 3


class Square(Config):
    shape: Literal["square"]
    side: float = 1.0


class Circle(Config):
    shape: Literal["circle"]
    radius: float = 1.0


class Step(Config):
    max_ratio: float | None = None
    rules: tuple[ByRange | ByName, ...] = ()
    figure: Square | Circle = Field(Square(shape="square"), discriminator="shape")
    carry: tuple[str, ...] | dict[str, str] | Literal["all"] = ()
    least: int = Field(1, ge=1)
    most: int = 10
    robots: bool = False
    inner: ByRange | None = None

    @model_validator(mode="after")
    def _bounds(self):
        if self.least > self.most:
            raise ValueError(f"least {self.least} is larger than most {self.most}")
        return self


def said_of(text):
    document = parse_yaml("a:\n  - 1\n  -\n    " + text.replace("\n", "\n    "), "r.yaml")
    with pytest.raises(ValidationError) as caught:
        Step.model_validate_json(json.dumps(document.values["a"][1]))
    return describe_mistakes(caught.value, Step, document, ("a", 1)).splitlines()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("max_ratoi: 3", ["r.yaml:4: a.1.max_ratoi: unknown; did you mean max_ratio?"]),
        ("max-ratio: 3", ["r.yaml:4: a.1.max-ratio: unknown; did you mean max_ratio?"]),
        ("Max_Ratio: 3", ["r.yaml:4: a.1.Max_Ratio: unknown; did you mean max_ratio?"]),
        (
            "zzz: 3",
            ["r.yaml:4: a.1.zzz: unknown; known are carry, figure, inner, least, max_ratio, most, robots, rules"],
        ),
        ("max_ratio: '3'", ["r.yaml:4: a.1.max_ratio: must be a number, not '3'"]),
        ("max_ratio: .inf", ["r.yaml:4: a.1.max_ratio: must be a number, not '.inf'"]),
        ("least: 1.5", ["r.yaml:4: a.1.least: must be a whole number, not 1.5"]),
        ("least: true", ["r.yaml:4: a.1.least: must be a whole number, not true"]),
        ("least: 0", ["r.yaml:4: a.1.least: must be greater than or equal to 1, not 0"]),
        ("robots: yes", ["r.yaml:4: a.1.robots: must be true or false, not 'yes'"]),
        ("least: 7\nmost: 3", ["r.yaml:4: a.1: least 7 is larger than most 3"]),
        ("inner: 3", ["r.yaml:4: a.1.inner: must be a mapping, not 3"]),
        ("inner: {}", ["r.yaml:4: a.1.inner.low: missing; add it"]),
        ("rules: 3", ["r.yaml:4: a.1.rules: must be a list, not 3"]),
        ("rules: {}", ["r.yaml:4: a.1.rules: must be a list, not {}"]),
        ("rules: [3]", ["r.yaml:4: a.1.rules.0: must be a mapping, not 3"]),
    ],
)
def test_the_line_names_place_and_remedy_when_there_is_one_mistake(text, lines):
    assert said_of(text) == lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("rules:\n- {low: 1}\n- {name: a, limti: 3}", ["r.yaml:6: a.1.rules.1.limti: unknown; did you mean limit?"]),
        ("rules: [{name: a, limit: x}]", ["r.yaml:4: a.1.rules.0.limit: must be a whole number, not 'x'"]),
        ("figure: {shape: circle, raduis: 2}", ["r.yaml:4: a.1.figure.raduis: unknown; did you mean radius?"]),
        ("figure: {shape: circle, side: 2}", ["r.yaml:4: a.1.figure.side: unknown; known are radius, shape"]),
        ("carry: 5", ["r.yaml:4: a.1.carry: must be a list or a mapping or 'all', not 5"]),
        ("carry: [a, 5]", ["r.yaml:4: a.1.carry.1: must be text, not 5"]),
        ("carry: {a: 5}", ["r.yaml:4: a.1.carry.a: must be text, not 5"]),
    ],
)
def test_the_form_that_was_meant_is_spoken_of_when_there_are_several(text, lines):
    assert said_of(text) == lines


def test_every_mistake_has_its_line_when_there_are_several():
    assert said_of("least: x\nmax_ratoi: 1\ninner: {low: [1]}") == [
        "r.yaml:4: a.1.least: must be a whole number, not 'x'",
        "r.yaml:6: a.1.inner.low: must be a number, not [1]",
        "r.yaml:5: a.1.max_ratoi: unknown; did you mean max_ratio?",
    ]


def test_a_long_value_is_cut_short_when_it_is_shown():
    (line,) = said_of(f"least: {'x' * 500}")
    assert line.startswith("r.yaml:4: a.1.least: must be a whole number, not 'xxx")
    assert len(line) < 130


@pytest.mark.parametrize(
    ("name", "known", "end"),
    [
        ("fetch_image", ["fetch_images", "select"], "; did you mean fetch_images?"),
        ("zzz", ["b", "a"], "; known are a, b"),
        ("zzz", [], ""),
    ],
)
def test_the_nearest_name_or_all_of_them_are_given_when_one_is_unknown(name, known, end):
    assert did_you_mean(name, known) == end


class Rules(Config):
    rules: tuple[ByName, ...] = Field(min_length=1)


def test_list_is_not_called_too_short_when_its_only_entry_is_wrong():
    document = parse_yaml("rules:\n  - {nmae: a}\n", "r.yaml")
    with pytest.raises(ValidationError) as caught:
        Rules.model_validate_json(json.dumps(document.values))
    said = describe_mistakes(caught.value, Rules, document, ()).splitlines()
    assert said == [
        "r.yaml:2: rules.0.name: missing; add it",
        "r.yaml:2: rules.0.nmae: unknown; did you mean name?",
    ]
    document = parse_yaml("rules: []\n", "r.yaml")
    with pytest.raises(ValidationError) as caught:
        Rules.model_validate_json(json.dumps(document.values))
    assert len(describe_mistakes(caught.value, Rules, document, ()).splitlines()) == 1
