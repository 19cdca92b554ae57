"""Pools of a plan, worked out by hand."""

import pytest
from toy_runs import RECIPE
from toy_steps import CATALOGUE

from curation.errors import PlanError
from curation.plan.costs import MeasuredCosts
from curation.plan.phases import make_plan
from curation.plan.placement import Node
from curation.plan.pools import plan_resources
from curation.plan.sizing import ClusterResources
from curation.recipe.load import parse_recipe

ON_TWO_WORKERS = RECIPE.replace("kind: develop", "kind: develop_on_gpu")
COSTS = MeasuredCosts(
    {"measure_text": 0.001, "draw": 0.01, "develop_on_gpu": 0.02},
    {"draw-develop_on_gpu": 1000.0},
    frozenset({"source"}),
)


def planned(cluster, costs=COSTS, **settings):
    plan = make_plan(parse_recipe(ON_TWO_WORKERS, "recipe.yaml", CATALOGUE, ()))
    return plan_resources(plan, [Node("a", cluster)], costs, **{"part_rows": 100, "rows": 720_000, **settings})


def test_the_bottleneck_and_the_hours_follow_from_the_costs_when_these_are_measured():
    resources = planned(ClusterResources(cpus=8, gpus=1))
    text, images = resources.phases
    assert (text.name, images.name) == ("measure_text", "draw-develop_on_gpu")
    # Half a GPU and a CPU each: two workers of develop at 2 s a part, six of draw at 1 s.
    assert [(pool.name, pool.workers, pool.unit_seconds, pool.measured) for pool in images.pools] == [
        ("draw", 6, 1.0, True),
        ("develop_on_gpu", 2, 2.0, True),
    ]
    assert (images.bottleneck, images.rows_per_s, images.hours) == ("develop_on_gpu", 100.0, 2.0)
    # 7,200 parts of 100 rows of 1,000 bytes: 18 for each of two workers of develop, and six that are being drawn.
    assert (images.parts_in_flight, images.part_bytes, images.in_flight_bytes) == (42, 100_000, 3_600_000)
    assert (text.rows_per_s, text.in_flight_bytes) == (8000.0, 0)
    # `threshold` reads one int32 of every row.
    assert resources.decision_bytes == 4 * 720_000


def test_there_is_no_pace_when_a_cost_is_not_known():
    images = planned(ClusterResources(cpus=8, gpus=1), MeasuredCosts({"draw": 0.01})).phases[-1]
    assert (images.bottleneck, images.rows_per_s, images.hours) == (None, None, None)
    assert [pool.workers for pool in images.pools] == [6, 2]


def test_every_phase_that_does_not_fit_is_named_when_checked():
    resources = planned(ClusterResources(cpus=8, gpus=0))
    with pytest.raises(
        PlanError, match=r"^phase draw-develop_on_gpu: one worker of each step needs 2 CPUs and 0.5 GPUs"
    ):
        resources.check()
    with pytest.raises(PlanError):
        resources.check(frozenset({"measure_text"}))
    # It may be done already.
    resources.check(frozenset({"draw-develop_on_gpu"}))
