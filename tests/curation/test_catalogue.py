"""The catalogue as the recipe sees it."""

from toy_steps import CATALOGUE


def test_every_kind_but_the_sources_can_be_a_step_when_a_recipe_names_it():
    assert set(CATALOGUE.steps) == {"measure_text", "draw", "develop", "develop_on_gpu", "threshold", "write_lines"}
    assert all(step.Config.model_fields["kind"].default == kind for kind, step in CATALOGUE.steps.items())
