"""The stage of docs/write-a-stage.md works: its own tests pass, and a recipe with it runs."""

import importlib.util
import pickle
import sys
from dataclasses import replace

import polars as pl
import pytest
from documents import ROOT, blocks

from curation.engine.events import Listeners
from curation.engine.run import Run
from curation.plan.checks import checked_plan
from curation.recipe.load import parse_recipe
from curation.runtime.in_process import InProcessRunner
from curation.storage.store import Store
from stages.catalogue import CATALOGUE

PAGE = ROOT / "docs" / "write-a-stage.md"


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The Python of the page as one module."""
    path = tmp_path_factory.mktemp("stage") / "count_words_of_the_page.py"
    path.write_text("\n\n".join(block.text for block in blocks("python", PAGE)).replace(FUTURE, "", 1))
    path.write_text(FUTURE + path.read_text())
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[path.stem]


FUTURE = "from __future__ import annotations\n"


def test_tests_of_the_page_pass_when_they_are_run(example):
    tests = [value for name, value in vars(example).items() if name.startswith("test_")]

    assert [test() for test in tests] == [None, None]


def test_stage_can_be_pickled_when_it_is_new(example):
    stage = example.CountWords(example.CountWordsConfig(min_words=2))

    assert pickle.loads(pickle.dumps(stage)).config == stage.config


def test_rows_end_by_its_rule_when_its_recipe_is_run(example, tmp_path):
    (shown,) = blocks("yaml", PAGE)
    (tmp_path / "pairs.csv").write_text("url,caption\nhttp://a/1.jpg,a red kite in the sky\nhttp://a/2.jpg,kite\n")
    catalogue = replace(CATALOGUE, stages={**CATALOGUE.stages, "count_words": example.CountWords})
    recipe = parse_recipe(shown.text, shown.place, catalogue, [f"source.path={tmp_path}/pairs.csv"])

    result = Run(recipe, checked_plan(recipe), Store(str(tmp_path / "run")), InProcessRunner(), Listeners()).execute()

    ledger = pl.read_parquet(f"{tmp_path}/run/{result.ledger}/*.parquet")
    assert ledger["outcome"].to_list() == ["kept", "rejected"]
    assert ledger["reason"].to_list() == [None, "count_words.min_words"]
    assert ledger["detail"].to_list() == [None, "1 < 3"]
