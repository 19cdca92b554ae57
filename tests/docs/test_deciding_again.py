"""What docs/deciding-again.md says that a change repeats is what the fingerprints say."""

import pytest
from documents import ROOT

from curation.plan.fingerprints import Fingerprints, Layout
from curation.plan.phases import Phase, make_plan
from curation.recipe.load import parse_recipe
from stages.catalogue import CATALOGUE

TEXT, FETCH, SCORE, CAPTION = "text_rules", "fetch_images-decode_images-fingerprint", "score_alignment", "recaption"
EVERYTHING_FETCHED = {FETCH, SCORE, CAPTION}


def fingerprints(*overrides):
    """The measure of every phase, the fingerprint of every decision, and that of the delivery."""
    text = (ROOT / "jobs/recipes/sandbox.yaml").read_text()
    plan = make_plan(parse_recipe(text, "sandbox.yaml", CATALOGUE, overrides))
    prints = Fingerprints(plan, Layout("parts", "rows"))
    measures, decisions = {}, {}
    for item in plan.items:
        if isinstance(item, Phase):
            both = prints.phase(item)
            measures[item.name] = both.measure
            prints.end_phase(both, ())
        else:
            decisions[item.name] = prints.decision(item)
    return measures, {**decisions, "shards": prints.delivery(plan.sink)}


def changed(before, after):
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("override", "measured", "decided"),
    [
        ("select.rules.0.min=0.5", set(), {"select", "shards"}),
        ("select.clip_score.min=0.25", set(), {"select", "shards"}),
        ("deduplicate.prefer=[first]", set(), {"deduplicate", "select", "shards"}),
        ("write_shards.shard_rows=7", set(), {"shards"}),
        ("recaption.max_new_tokens=7", {CAPTION}, {"shards"}),
        ("score_alignment.precision=bf16", {SCORE}, {"select", "shards"}),
        ("text_rules.min_words=4", {TEXT, SCORE}, {"deduplicate", "select", "shards"}),
        ("decode_images.min_side=64", EVERYTHING_FETCHED, {"deduplicate", "select", "shards"}),
        ("fetch_images.retries=9", EVERYTHING_FETCHED, {"deduplicate", "select", "shards"}),
        ("fetch_images.concurrency=9", set(), set()),
        ("score_alignment.batch_size=7", set(), set()),
        ("run.max_tries=7", set(), set()),
    ],
)
def test_only_what_the_page_says_is_repeated_when_a_setting_changes(override, measured, decided):
    measures, decisions = fingerprints()
    measures_after, decisions_after = fingerprints(override)

    assert changed(measures, measures_after) == measured
    assert changed(decisions, decisions_after) == decided
