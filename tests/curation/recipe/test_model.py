"""The recipe as it is saved with a run."""

import yaml
from toy_steps import CATALOGUE

from curation.recipe.load import parse_recipe

TEXT = "source: {kind: counting, rows: 10}\nsteps:\n  - {kind: threshold, column: page, min: 1}\n"


def test_every_setting_is_spelled_out_when_resolved():
    resolved = parse_recipe(TEXT, "r.yaml", CATALOGUE).resolved()
    assert resolved["source"] == {"kind": "counting", "name": None, "rows": 10}
    assert resolved["steps"] == [{"kind": "threshold", "name": None, "column": "page", "min": 1}]
    assert resolved["run"]["part_rows"] == 2000


def test_the_same_recipe_comes_back_when_the_resolved_one_is_loaded():
    recipe = parse_recipe(TEXT, "r.yaml", CATALOGUE)
    text = yaml.safe_dump(recipe.resolved(), sort_keys=False)
    assert parse_recipe(text, "again.yaml", CATALOGUE).resolved() == recipe.resolved()


def test_there_is_no_sink_when_the_last_step_only_decides():
    assert parse_recipe(TEXT, "r.yaml", CATALOGUE).sink is None
