"""What the figures of the engine's benchmark are worked out from."""

import pytest

from curation.engine.events import Listeners
from curation.engine.run import Run
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from curation.runtime.in_process import InProcessRunner
from curation.storage.store import Store
from jobs.bench.engine import growth, steady_rate
from jobs.bench.engine_child import PhaseClock
from jobs.bench.no_op_steps import CATALOGUE


def test_the_exponent_is_one_when_time_is_proportional_to_parts():
    runs = [{"parts": n, "steady_s": 0.01 * n, "driver_peak_mb": 200 + 0.02 * n} for n in (2500, 5000, 10_000)]
    assert growth(runs) == {"growth_exponent": 1.0, "driver_kb_per_part": 20.0}


def test_the_exponent_is_two_when_time_grows_with_the_square_of_parts():
    runs = [{"parts": n, "steady_s": 1e-6 * n * n, "driver_peak_mb": 200} for n in (10, 100, 1000)]
    assert growth(runs)["growth_exponent"] == 2.0


def test_growth_is_not_told_when_there_is_one_run():
    assert growth([{"parts": 10, "steady_s": 1.0, "driver_peak_mb": 200}]) == {}


def test_the_rate_is_that_of_the_middle_when_start_and_tail_are_slow():
    # Two processes: the first part and the last one do not count. Between 12 and 16 four more parts were done.
    assert steady_rate([10, 12, 13, 14, 15, 16, 25], processes=2) == 1.0


def test_no_rate_is_told_when_there_are_too_few_parts():
    with pytest.raises(ValueError, match="3 parts are too few for 2 processes"):
        steady_rate([1, 2, 3], processes=2)


def test_every_row_of_made_up_parts_is_kept_when_nothing_is_done_to_them(tmp_path):
    text = "source: {kind: made_up_rows, rows: 7}\nsteps: [{kind: no_op}]\nrun: {part_rows: 2}\n"
    recipe = parse_recipe(text, "no-op.yaml", CATALOGUE)
    clock = PhaseClock()
    run = Run(recipe, make_plan(recipe), Store(str(tmp_path)), InProcessRunner(), Listeners(clock))
    assert run.execute().rows == 7
    assert 0 < clock.steady_s < clock.seconds["phase"]
    assert clock.done_before == 0
