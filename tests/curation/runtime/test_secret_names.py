"""Secrets are named, checked before the start, and never repeated in a message."""

import pytest

from curation.errors import RecipeError
from curation.masking import known_values, mask
from curation.runtime.secret_names import secret_values


def test_values_come_from_the_environment_when_names_are_given(monkeypatch):
    monkeypatch.setenv("STORE_KEY", "abc")
    assert secret_values(["STORE_KEY"]) == {"STORE_KEY": "abc"}


def test_missing_names_are_told_when_they_are_not_set(monkeypatch):
    monkeypatch.setenv("EMPTY_KEY", "")
    with pytest.raises(RecipeError, match=r"^--secret EMPTY_KEY, NO_KEY: not set in the environment of this command"):
        secret_values(["EMPTY_KEY", "NO_KEY"])


def test_value_is_not_repeated_when_it_is_given_in_place_of_its_name():
    with pytest.raises(RecipeError) as caught:
        secret_values(["STORE_KEY=hunter2"])
    assert str(caught.value) == "--secret takes the name of an environment variable, and never its value"


def test_name_is_refused_when_processes_read_it_as_they_begin(monkeypatch):
    monkeypatch.setenv("FSSPEC_S3_KEY", "abc")
    with pytest.raises(RecipeError, match=r"^--secret FSSPEC_S3_KEY: it is read when a process begins"):
        secret_values(["FSSPEC_S3_KEY"])


def test_a_value_is_masked_when_its_variable_has_an_innocent_name(monkeypatch):
    monkeypatch.setattr("curation.masking._known", set())
    monkeypatch.setenv("STORE_ACCOUNT", "planted-9f3c1e")
    secret_values(["STORE_ACCOUNT"])
    assert mask("403 for planted-9f3c1e") == "403 for ***"
    # This is what workers are given.
    assert known_values() == ("planted-9f3c1e",)
