"""All that can be known to be wrong before the start is told at once."""

import pyarrow as pa
import pytest
from toy_steps import CATALOGUE, CountingSource, Develop, Threshold, by_kind

from curation.catalogue import Catalogue
from curation.errors import RecipeError
from curation.plan.checks import check_source_columns, checked_plan
from curation.recipe.load import parse_recipe


class Unreadable(CountingSource):
    def check(self):
        raise RecipeError("words.csv: there is no such file; correct `path`")


class AsksTheSource(Unreadable):
    @property
    def carried(self):
        raise RecipeError("words.csv: there is no such file; correct `path`")


class NoModel(Develop):
    def check(self):
        raise RecipeError("model: there is no ViT-L-15; did you mean ViT-L-14?")


def checked(steps, source=CountingSource, **stages):
    catalogue = Catalogue(
        by_kind(source), {**CATALOGUE.stages, **stages}, {**CATALOGUE.exchanges, **by_kind(Threshold)}, CATALOGUE.sinks
    )
    return checked_plan(parse_recipe(f"source: {{kind: counting, rows: 1}}\nsteps: [{steps}]\n", "r.yaml", catalogue))


def said_of(*args, **kwargs):
    with pytest.raises(RecipeError) as caught:
        checked(*args, **kwargs)
    return str(caught.value).splitlines()


def test_misplaced_steps_are_told_when_the_recipe_places_them():
    text = (
        "source: {kind: counting, rows: 1}\nsteps: [{kind: measure_text}, {kind: threshold}]\n"
        "run: {placement: {measure_txt: a, threshold: b, measure_text: GPU}}\n"
    )
    catalogue = Catalogue(
        by_kind(CountingSource),
        CATALOGUE.stages,
        {**CATALOGUE.exchanges, **by_kind(Threshold)},
        CATALOGUE.sinks,
    )
    with pytest.raises(RecipeError) as caught:
        checked_plan(parse_recipe(text, "r.yaml", catalogue))
    unknown, deciding, built_in = str(caught.value).splitlines()
    assert unknown == "r.yaml: run.placement.measure_txt: no step has this name; did you mean measure_text?"
    assert deciding.startswith("r.yaml: run.placement.threshold: it decides in the driver's process, on the head;")
    assert built_in.startswith("r.yaml: run.placement.measure_text: GPU is what every node has; name a custom resource")


def test_the_plan_comes_back_when_nothing_is_wrong():
    assert [item.name for item in checked("{kind: measure_text}, {kind: threshold}").items] == [
        "measure_text",
        "threshold",
    ]


def test_source_steps_and_columns_are_told_together_when_all_are_wrong():
    assert said_of("{kind: draw}, {kind: develop}, {kind: threshold}", Unreadable, develop=NoModel) == [
        "r.yaml: source (counting): words.csv: there is no such file; correct `path`",
        "r.yaml: steps.1 (develop): model: there is no ViT-L-15; did you mean ViT-L-14?",
        "r.yaml: steps.2 (threshold): reads the column text_words, which no step makes; known are caption, "
        "http_status, image, key, page, row, url, width",
    ]


def test_the_source_is_told_once_when_it_cannot_even_name_its_columns():
    assert said_of("{kind: measure_text}", AsksTheSource) == [
        "r.yaml: source (counting): words.csv: there is no such file; correct `path`"
    ]


def test_what_does_not_fit_the_steps_before_it_is_told_when_a_recipe_is_checked():
    class Fussy(Threshold):
        def check_behind(self, earlier):
            raise RecipeError(f"stands behind {', '.join(config.kind for config in earlier)}")

    kind = next(iter(by_kind(Threshold)))
    catalogue = Catalogue(by_kind(CountingSource), CATALOGUE.stages, {kind: Fussy}, CATALOGUE.sinks)
    steps = "{kind: measure_text}, {kind: " + kind + ", column: text_words, min: 1}"
    text = f"source: {{kind: counting, rows: 1}}\nsteps: [{steps}]\n"
    with pytest.raises(RecipeError, match=rf"r.yaml: steps.1 \({kind}\): stands behind measure_text"):
        checked_plan(parse_recipe(text, "r.yaml", catalogue))


def test_every_stage_that_cannot_read_a_columns_type_is_told_when_the_source_is_indexed():
    class Picky(Develop):
        def check_source(self, columns):
            if columns.field("page").type != pa.string():
                raise RecipeError(f"page: {columns.field('page').type} is no text")

    catalogue = Catalogue(by_kind(CountingSource), {**CATALOGUE.stages, "develop": Picky}, {}, CATALOGUE.sinks)
    steps = "{kind: draw}, {kind: develop}, {kind: develop, name: again}"
    recipe = parse_recipe(f"source: {{kind: counting, rows: 1}}\nsteps: [{steps}]\n", "r.yaml", catalogue)
    with pytest.raises(RecipeError) as caught:
        check_source_columns(recipe, recipe.source.index(None).columns)
    assert str(caught.value).splitlines() == [
        "r.yaml: steps.1 (develop): page: int64 is no text",
        "r.yaml: steps.2 (again): page: int64 is no text",
    ]
    assert check_source_columns(recipe, pa.schema({"page": pa.string()})) is None
