"""What makes work be done again, and what must not."""

import pytest
from toy_steps import CATALOGUE

from curation.plan.fingerprints import Fingerprints, Layout, steps_fingerprint
from curation.plan.phases import Phase, make_plan
from curation.recipe.load import parse_recipe
from schemas.records import Revisit

RECIPE = """
source: {kind: counting, rows: 100}
steps:
  - {kind: measure_text, min_words: 1, decides: true}
  - {kind: draw}
  - {kind: develop}
  - {kind: threshold, min: 3}
  - {kind: measure_text, name: again}
  - {kind: write_lines}
"""
FIRST, SECOND, LAST = "measure_text", "draw-develop", "write_lines"


@pytest.fixture(autouse=True)
def second_words(monkeypatch):
    """Lets the second `measure_text` make a column of its own."""
    measure = CATALOGUE.stages["measure_text"]
    spec = measure.spec.fget

    def with_other_column(self):
        made = spec(self)
        if self.config.step_name != "again":
            return made
        return type(made)("measure_text", 1, ("caption",), ("text_chars",), rowwise=True)

    monkeypatch.setattr(measure, "spec", property(with_other_column))


def prints_of(*overrides, text=RECIPE, quarantined=(), layout=("parts", "rows"), revisits=(), editions=None):
    """The fingerprints by name: {phase: (measure, scope)}, {decision or sink: fingerprint}."""
    plan = make_plan(parse_recipe(text, "r.yaml", CATALOGUE, overrides))
    prints = Fingerprints(plan, Layout(*layout), revisits)
    found = {}
    for item in plan.items:
        if isinstance(item, Phase):
            both = prints.phase(item)
            prints.end_phase(both, quarantined if item.name == FIRST else (), (editions or {}).get(item.name, {}))
            found[item.name] = (both.measure, both.scope)
        else:
            found[item.name] = prints.decision(item)
    found[LAST] = prints.delivery(plan.sink)
    return found


def changed(*overrides, **kwargs):
    """What differs from the plain recipe: `name` for all of it, `name.scope` for the scope alone."""
    before, after = prints_of(), prints_of(*overrides, **kwargs)
    different = set()
    for name in before.keys() & after.keys():
        if before[name] == after[name]:
            continue
        same_measure = isinstance(before[name], tuple) and before[name][0] == after[name][0]
        different.add(f"{name}.scope" if same_measure else name)
    return different


AFTER_FIRST = {"draw-develop.scope", "threshold", "again.scope", LAST}
EVERYTHING = {FIRST, SECOND, "threshold", "again", LAST}


def test_fingerprints_are_equal_when_the_recipe_is():
    assert changed() == set()


@pytest.mark.parametrize("override", ["draw.log=/tmp/x", "measure_text.pause_s=0.5", "run.max_tries=9", "name=other"])
def test_nothing_changes_when_only_the_speed_does(override):
    assert changed(override) == set()


def test_only_scopes_change_behind_it_when_a_bound_changes_on_which_no_value_hangs():
    assert changed("measure_text.min_words=2") == {FIRST, *AFTER_FIRST}


def test_only_what_comes_later_changes_when_an_exchange_does():
    assert changed("threshold.min=4") == {"threshold", "again.scope", LAST}


def test_only_what_comes_later_changes_when_the_content_that_an_exchange_reads_does(monkeypatch):
    before = prints_of()
    monkeypatch.setattr(CATALOGUE.exchanges["threshold"], "content_digest", lambda self: "files as they are")
    after = prints_of()
    assert {name for name in before if before[name] != after[name]} == {"threshold", "again", LAST}
    assert before["again"][0] == after["again"][0]


def test_only_the_delivery_changes_when_the_sink_does():
    assert changed("write_lines.unit_rows=3") == {LAST}


def test_everything_changes_when_the_source_is_cut_otherwise():
    assert changed(layout=("other parts", "rows")) == EVERYTHING


def test_no_measure_changes_when_the_source_holds_other_rows():
    assert changed(layout=("parts", "other rows")) == {f"{FIRST}.scope", *AFTER_FIRST}


def test_scopes_change_behind_it_when_a_part_was_set_aside():
    assert changed(quarantined=(3,)) == AFTER_FIRST


def meant_for(name, number=1):
    """A retry that is meant for a phase of the recipe."""
    plan = make_plan(parse_recipe(RECIPE, "r.yaml", CATALOGUE))
    (phase,) = (phase for phase in plan.phases if phase.name == name)
    steps = steps_fingerprint(phase, "parts")
    return Revisit(number=number, kind="retry", reasons=("deadline",), phases=(steps,))


def test_only_its_own_scope_changes_when_a_revisit_measures_nothing_anew():
    once, twice = (meant_for(SECOND), meant_for(SECOND, 7))
    assert changed(revisits=(once,)) == {"draw-develop.scope"}
    assert prints_of(revisits=(once,))[SECOND] != prints_of(revisits=(once, twice))[SECOND]
    assert changed("draw.name=pull", revisits=(once,)) == changed("draw.name=pull")


def test_scopes_change_behind_it_when_a_revisit_measured_rows_anew():
    assert changed(editions={SECOND: {3: "ab"}}) == {"threshold", "again.scope", LAST}
    assert prints_of(editions={SECOND: {3: "ab"}}) != prints_of(editions={SECOND: {3: "cd"}})


def test_values_stay_when_an_exchange_is_put_before_a_stage():
    text = RECIPE.replace("  - {kind: draw}\n", "  - {kind: threshold, name: early, min: 1}\n  - {kind: draw}\n")
    assert changed(text=text) == AFTER_FIRST


def test_values_stay_when_an_exchange_reads_one_source_column_more():
    first = RECIPE.replace("{kind: threshold, min: 3}", "{kind: threshold, column: page}")
    assert changed(text=first) == {"measure_text.scope", *AFTER_FIRST}


def test_values_change_when_stages_change_places():
    def measure_of(*kinds):
        steps = "".join(f"  - {kind}\n" for kind in (*kinds, "{kind: write_lines}"))
        prints = prints_of(text=f"source: {{kind: counting, rows: 100}}\nsteps:\n{steps}")
        return next(both[0] for both in prints.values() if isinstance(both, tuple))

    draw, again = "{kind: draw}", "{kind: measure_text, name: again}"
    assert measure_of(draw, again) != measure_of(again, draw)


def test_later_values_change_when_those_they_are_made_of_do(monkeypatch):
    develop = CATALOGUE.stages["develop"]
    text = RECIPE.replace("  - {kind: develop}\n", "").replace(
        "  - {kind: measure_text, name: again}", "  - {kind: measure_text, name: again}\n  - {kind: develop}"
    )
    spec = type(develop(develop.Config()).spec)
    monkeypatch.setattr(
        develop, "spec", property(lambda self: spec("develop", 1, ("http_status",), ("image", "width"), rowwise=True))
    )
    before, after = prints_of(text=text), prints_of("draw.name=pull", text=text)
    assert before["again-develop"][0] != after["again-develop"][0]
    assert before[FIRST] == after[FIRST]


def test_values_change_when_a_stage_has_a_new_version(monkeypatch):
    before = prints_of()
    draw = CATALOGUE.stages["draw"]
    spec = draw(draw.Config()).spec
    newer = type(spec)("draw", 2, spec.requires, spec.adds)
    monkeypatch.setattr(draw, "spec", property(lambda self: newer))
    after = prints_of()
    assert before[SECOND][0] != after[SECOND][0]
    assert before[FIRST] == after[FIRST]
