"""Configs: strict, frozen, and with settings that no fingerprint sees."""

import json

import pytest
from pydantic import Field, ValidationError

from curation.contracts.config import Config, Later, StepConfig, Tuning, fingerprinted_settings


class Inner(Config):
    size: int
    threads: Tuning[int] = 1


class Outer(StepConfig):
    kind: str = "outer"
    inner: Inner
    several: tuple[Inner, ...] = ()
    by_name: dict[str, int] = Field({})
    workers: Tuning[int | None] = None


def outer(**changes):
    return Outer.model_validate_json(json.dumps({"inner": {"size": 1}, **changes}))


@pytest.mark.parametrize(
    "changes",
    [
        {"workers": 9},
        {"inner": {"size": 1, "threads": 9}},
        {"several": [{"size": 2, "threads": 9}]},
    ],
)
def test_fingerprinted_settings_stay_when_only_speed_changes(changes):
    plain = outer(**{"several": [{"size": 2}]} if "several" in changes else {})
    assert fingerprinted_settings(outer(**changes)) == fingerprinted_settings(plain)
    assert outer(**changes) != plain


@pytest.mark.parametrize(
    "changes",
    [{"inner": {"size": 2}}, {"several": [{"size": 1}]}, {"by_name": {"a": 1}}, {"kind": "other"}],
)
def test_fingerprinted_settings_change_when_a_result_does(changes):
    assert fingerprinted_settings(outer(**changes)) != fingerprinted_settings(outer())


def test_fingerprinted_settings_are_json_when_configs_are_nested():
    settings = fingerprinted_settings(outer(several=[{"size": 2}], by_name={"a": 1}))
    assert json.loads(json.dumps(settings)) == settings
    assert settings["several"] == [{"size": 2}]


@pytest.mark.parametrize("values", [{"inner": {"size": "1"}}, {"inner": {"size": 1.0}}, {"inner": {"size": True}}])
def test_a_value_is_refused_when_it_is_of_another_type(values):
    with pytest.raises(ValidationError, match="size"):
        Outer.model_validate_json(json.dumps(values))


@pytest.mark.parametrize("name", ["Select", "a.b", "9a", "", "a-b"])
def test_a_name_is_refused_when_the_ledger_could_not_show_it(name):
    with pytest.raises(ValidationError, match="name"):
        outer(name=name)


def test_the_step_is_called_by_its_name_when_it_has_one():
    assert outer(name="first").step_name == "first"
    assert outer().step_name == "outer"


def test_a_config_cannot_be_changed_when_it_is_made():
    with pytest.raises(ValidationError, match="frozen"):
        outer().workers = 3


class Grown(Config):
    size: int = 1
    later: Later[str | None] = None


def test_setting_that_came_later_is_in_fingerprints_where_it_is_used():
    assert fingerprinted_settings(Grown()) == {"size": 1}
    assert fingerprinted_settings(Grown(later="a")) == {"size": 1, "later": "a"}
