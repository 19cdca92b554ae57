"""The demo's two recipes: both valid, and both measuring pictures in the very same way."""

from curation.plan.fingerprints import Fingerprints, Layout
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from jobs.demo import raw_recipe_text, recipe_text
from stages.catalogue import CATALOGUE


def plan_of(text):
    return make_plan(parse_recipe(text, "recipe", CATALOGUE))


def measures(plan):
    """The measure of every phase by its name."""
    prints = Fingerprints(plan, Layout("parts", "rows"))
    found = {}
    for item in plan.items:
        if item in plan.phases:
            both = prints.phase(item)
            prints.end_phase(both, [])
            found[item.name] = both.measure
        else:
            prints.decision(item)
    return found


def test_pictures_are_measured_once_for_both_recipes_when_the_demo_runs():
    curated, raw = measures(plan_of(recipe_text())), measures(plan_of(raw_recipe_text()))
    assert list(raw) == ["fetch_images-decode_images-fingerprint"]
    assert raw.items() <= curated.items()


def test_the_raw_recipe_decides_nothing_when_it_is_derived():
    plan = plan_of(raw_recipe_text())
    assert plan.items == plan.phases
    assert plan.sink is not None
