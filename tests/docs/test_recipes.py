"""Every YAML block of the pages is what it says it is."""

import json
from shutil import copyfile

import polars as pl
import pytest
import yaml
from copy_models import copy_model
from documents import ROOT, blocks
from evaluation_tables import evaluation_table
from img2dataset_folders import write_shard
from pictures import gradient, saved

from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from curation.recipe.model import RunSettings
from jobs.training.config import TrainConfig
from stages.catalogue import CATALOGUE

OWN_STEPS = ROOT / "docs" / "write-a-stage.md"
"""Its recipe names a step that the page itself makes: see test_write_a_stage.py."""

BLOCKS = [block for block in blocks("yaml") if block.page != OWN_STEPS]
SHOWN_RECIPES = [block for block in BLOCKS if "\nsource:" in block.text]
SHOWN_STEPS = [block for block in BLOCKS if block.text.startswith("- kind:")]
SHOWN_RUNS = [block for block in BLOCKS if block.text.startswith("run:")]
SHOWN_TRAININGS = [block for block in BLOCKS if "\nobjective:" in block.text]


def place_of(block):
    return block.place


def read(text, place):
    """A recipe whose user has put in whom site owners can ask: pages cannot, and their example is refused."""
    return parse_recipe(text.replace("https://example.org/", "https://crawler.ours.net/"), place, CATALOGUE)


def checked(recipe):
    """Lets every step look for what it names, but for folders that are only an example."""
    for step in recipe.steps:
        names_folder = str(getattr(step.config, "model", "")).startswith("local-dir:")
        if not names_folder and not getattr(step.config, "allow_folders", None):
            step.check()
    return recipe


LISTS = ("metadata.json", "metadata/en.json", "metadata/de.json", "metadata/other.json")
LEDGER = "runs/coco/ledger/1f0c4de7a2b95e83"
TARGETS = "runs/imagenet/shards/1f0c4de7a2b95e83"


@pytest.fixture
def example_files(tmp_path, monkeypatch):
    """What the pages' recipes read before anything is started."""
    monkeypatch.chdir(tmp_path)
    for folder in ("data/imagenet/val", "data/flickr30k", "metadata", "models", LEDGER, TARGETS):
        (tmp_path / folder).mkdir(parents=True)
    write_shard(tmp_path / "data" / "laion-shards", 0, [0, 1], "webdataset")
    write_shard(tmp_path / "data" / "flickr30k", 0, [0, 1], "webdataset")
    (tmp_path / "data/imagenet/val/a.jpg").write_bytes(saved(gradient(60, 40), "jpg"))
    copyfile(evaluation_table(), tmp_path / LEDGER / "part-00000000.parquet")
    copyfile(copy_model(), tmp_path / "models/sscd_disc_mixup.torchscript.pt")
    pl.DataFrame({"image_embedding": [[1.0, 0.0]]}).write_parquet(tmp_path / TARGETS / "000000.parquet")
    for name in LISTS:
        (tmp_path / name).write_text('["cat", "dog"]')
    (tmp_path / "queries.txt").write_text("cat\n")


@pytest.mark.parametrize("block", BLOCKS, ids=place_of)
def test_block_is_of_a_known_kind_when_a_page_shows_yaml(block):
    assert block in [*SHOWN_RECIPES, *SHOWN_STEPS, *SHOWN_TRAININGS, *SHOWN_RUNS]


@pytest.mark.parametrize("block", SHOWN_RUNS, ids=place_of)
def test_settings_of_a_run_are_right_when_a_page_shows_them_alone(block):
    shown = yaml.safe_load(block.text)["run"]

    assert set(json.loads(RunSettings.model_validate_json(json.dumps(shown)).model_dump_json())) >= set(shown)
    assert set(shown.get("placement", {})) <= set(CATALOGUE.stages)


@pytest.mark.parametrize("block", SHOWN_RECIPES, ids=place_of)
@pytest.mark.usefixtures("example_files")
def test_recipe_can_be_planned_when_a_page_shows_it(block):
    recipe = checked(read(block.text, block.place))

    plan = make_plan(recipe)

    assert plan.sink is recipe.steps[-1]
    assert plan.phases


@pytest.mark.parametrize("block", SHOWN_STEPS, ids=place_of)
@pytest.mark.usefixtures("example_files")
def test_steps_are_valid_when_a_page_shows_them_alone(block):
    source = {"kind": "url_table", "path": "pairs.parquet"}
    text = yaml.safe_dump({"source": source, "steps": yaml.safe_load(block.text)})

    recipe = checked(read(text, block.place))

    assert len(recipe.steps) == len(yaml.safe_load(block.text))


@pytest.mark.parametrize("block", SHOWN_TRAININGS, ids=place_of)
def test_training_settings_are_valid_when_a_page_shows_them(block):
    shown = yaml.safe_load(block.text)

    config = TrainConfig.model_validate_json(json.dumps(shown))

    assert config.model_dump(include=set(shown), exclude_defaults=True) != {}


def test_readme_shows_the_demos_settings_when_it_explains_its_recipe():
    (shown,) = [block for block in SHOWN_RECIPES if block.page == ROOT / "README.md"]
    demo = parse_recipe((ROOT / "jobs/recipes/sandbox.yaml").read_text(), "sandbox.yaml", CATALOGUE)
    whole = {step.config.step_name: step.config.model_dump(mode="json") for step in demo.steps}

    explained = parse_recipe(shown.text, shown.place, CATALOGUE)

    for step in explained.steps:
        shown_settings = step.config.model_dump(mode="json", exclude_unset=True)
        demos_settings = {name: whole[step.config.step_name][name] for name in shown_settings}
        assert _agrees(shown_settings, demos_settings)


def _agrees(shown, whole):
    """Whether whatever is shown is the same in the whole; what a nested setting leaves out is not held against it."""
    if isinstance(shown, dict):
        return all(_agrees(value, whole[name]) for name, value in shown.items())
    if isinstance(shown, list) and isinstance(whole, list):
        return len(shown) == len(whole) and all(map(_agrees, shown, whole))
    return shown == whole


def test_readme_names_the_demos_steps_when_it_explains_its_recipe():
    (shown,) = [block for block in SHOWN_RECIPES if block.page == ROOT / "README.md"]
    demo = parse_recipe((ROOT / "jobs/recipes/sandbox.yaml").read_text(), "sandbox.yaml", CATALOGUE)

    explained = parse_recipe(shown.text, shown.place, CATALOGUE)

    assert [step.config.step_name for step in explained.steps] == [step.config.step_name for step in demo.steps]
