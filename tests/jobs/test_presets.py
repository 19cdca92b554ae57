"""Every preset is a valid recipe with a header, and fetches no pair twice."""

import json
import re

import pytest
import yaml
from preset_rows import preset_recipe, verdicts

from curation.plan.checks import checked_plan
from curation.plan.phases import Decision
from jobs.cli import main
from jobs.presets import load_preset, preset_names

PUBLISHED = (
    "align cc12m laion400m laion2b_en clip_wit datacomp_basic datacomp_clip_l14_30 datacomp_image_based datacomp_1b "
    "metaclip metaclip2 dfn semdedup vl3_syn7m tips recap_datacomp capsfusion vecap laclip nguyen2023 mobileclip_dr "
    "obelics viscon"
)


def test_every_published_selection_has_a_preset_when_listed():
    assert preset_names() == sorted(PUBLISHED.split())


@pytest.mark.parametrize("name", preset_names())
def test_header_names_its_source_when_a_preset_is_read(name):
    preset = load_preset(name)

    assert re.search(r" et al\. 20\d\d, .+ ?\(arXiv:\d{4}\.\d{5}\)", preset.paper)
    assert preset.thresholds.endswith(".")
    assert preset.text.startswith(f"# {name}: {preset.title}\n")
    assert yaml.safe_load(preset.text)["name"] == name


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.usefixtures("files")
def test_plan_is_valid_when_a_preset_has_what_it_asks_for(name):
    recipe = preset_recipe(name)

    plan = checked_plan(recipe)

    assert plan.sink is recipe.steps[-1]
    fetching = next(phase for phase in plan.phases if "fetch_images" in phase.name)
    assert not {"score_alignment", "recaption"} & {stage.spec.kind for stage in fetching.stages}


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.usefixtures("files")
def test_pair_given_twice_goes_before_anything_is_fetched(name):
    recipe = preset_recipe(name)
    names = [item.name for item in checked_plan(recipe).items]
    rows = [{"key": "a" * 32}, {"key": "a" * 32, "sha256": "f" * 64}, {"key": "b" * 32}]

    fetching = next(at for at, name in enumerate(names) if "fetch_images" in name)
    assert names.index("same_pair") < fetching
    # Whatever else judges the rows: of a pair that was given twice, the second is never measured.
    assert verdicts(recipe, rows, only=("deduplicate",))[:2] == [None, "same_pair.repeated_row"]


@pytest.mark.parametrize(
    ("name", "first"), [("align", False), ("cc12m", False), ("metaclip", True), ("clip_wit", True)]
)
@pytest.mark.usefixtures("files")
def test_pair_given_twice_is_counted_as_the_header_says(name, first):
    items = checked_plan(preset_recipe(name)).items
    decisions = [item.name for item in items if isinstance(item, Decision)]

    assert decisions[0] == "same_pair" if first else decisions[:2] == ["rare_tokens", "same_pair"]
    assert ("count here as often as they come" in load_preset(name).departs) is not first
    assert ("so counts are of different pairs" in load_preset(name).departs) is first


@pytest.mark.parametrize("name", preset_names())
def test_header_tells_of_copies_when_a_preset_drops_them(name):
    preset = load_preset(name)
    kinds = [step["kind"] for step in yaml.safe_load(preset.text)["steps"] if step.get("name") != "same_pair"]

    assert ("deduplicate" in kinds) == bool(re.search("copy of an image|Copies of an image", preset.departs))


def test_presets_are_listed_when_asked_for(capsys):
    assert main(["recipes", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed] == preset_names()
    assert main(["recipes", "list"]) == 0
    assert "Jia et al. 2021" in capsys.readouterr().out


def test_yaml_is_printed_as_it_is_when_one_is_shown(capsys):
    assert main(["recipes", "show", "datacomp_basic"]) == 0
    assert capsys.readouterr().out == load_preset("datacomp_basic").text
    assert main(["recipes", "show", "--json", "datacomp_basic"]) == 0
    assert json.loads(capsys.readouterr().out)["paper"].startswith("Gadre et al. 2023")


def test_nearest_name_is_told_when_there_is_no_such_preset(capsys):
    assert main(["recipes", "show", "metaklip"]) == 2
    assert capsys.readouterr().err == "metaklip: no preset has this name; did you mean metaclip?\n"
    assert main(["recipes", "show", "zzzzzz"]) == 2
    assert "there are align, capsfusion" in capsys.readouterr().err


@pytest.mark.usefixtures("files")
def test_caption_stays_behind_when_cc12m_replaces_names():
    assert preset_recipe("cc12m").sink.config.leave_out == ("caption",)
