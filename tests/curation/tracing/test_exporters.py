"""Where traces may go, and what is said of where they may not."""

import importlib.util

import pytest

from curation.errors import RecipeError
from curation.tracing.exporters import check_destination


@pytest.mark.parametrize("place", ["otlp://host", "otlps://host:4318", "https://host/v1/traces", "spans.jsonl"])
def test_places_are_taken_when_traces_can_go_there(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_destination(place)


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("grpc://host:4317", "is no place for traces; give otlp://HOST:4318"),
        ("otlp://", "is no place for traces"),
        ("https://user:secret@host/v1/traces", "no credentials in the address"),
        ("nowhere/spans.jsonl", "there is no folder .*nowhere"),
    ],
)
def test_places_are_refused_with_the_remedy_when_nothing_can_go_there(place, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=problem):
        check_destination(place)


def test_the_extra_is_named_when_opentelemetry_is_not_installed(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if "otlp" in name else found(name, *rest))
    with pytest.raises(RecipeError, match=r"pip install -e '\.\[tracing\]'"):
        check_destination("otlp://host")
