"""The Ray runner against the one without Ray, with workers that die on the way."""

import signal
import sys

import polars as pl
import pytest
import ray
import toy_steps
from toy_runs import RECIPE, execute, files_of, ledger_of, logged

from curation.contracts.resources import Resources
from curation.engine.operator import Operator
from curation.errors import CurationError, PlanError
from curation.runtime.ray_pipeline import Pipeline
from curation.runtime.ray_runner import RayRunner, _own_sigterm

# Ray takes its time to start, and so do workers in place of dead ones.
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def runner(ray_address):
    # The workers cannot import the tests' modules: what they need of them travels whole.
    ray.cloudpickle.register_pickle_by_value(toy_steps)
    return RayRunner(max_tries=2)


def test_the_results_are_equal_to_the_byte_when_ray_runs_them(tmp_path, runner):
    on_ray = execute(tmp_path / "ray" / "out", log=tmp_path, runner=runner)
    here = execute(tmp_path / "here" / "out", log=tmp_path)
    assert on_ray == here
    assert files_of(tmp_path / "ray" / "out", on_ray) == files_of(tmp_path / "here" / "out", here)


def test_a_part_is_set_aside_and_the_others_finish_when_it_kills_its_worker(tmp_path, runner):
    result = execute(
        tmp_path / "out", "measure_text.decides=false", "measure_text.crash_row=20", "source.rows=64", runner=runner
    )
    assert result.quarantined == (("measure_text-draw-develop", 1),)
    ledger = ledger_of(tmp_path / "out", result)
    assert ledger["row"].to_list() == list(range(64))
    assert ledger.filter(pl.col("reason") == "quarantined")["row"].to_list() == list(range(16, 32))
    assert logged(tmp_path / "measured").count(20) == 2


def test_a_part_is_tried_again_when_its_stage_raises(tmp_path, runner):
    result = execute(
        tmp_path / "out", "measure_text.decides=false", "measure_text.raise_row=20", "source.rows=64", runner=runner
    )
    assert result.quarantined == (("measure_text-draw-develop", 1),)
    assert logged(tmp_path / "measured").count(20) == 2


ON_TWO_WORKERS = RECIPE.replace("kind: develop", "kind: develop_on_gpu")


def test_rows_go_from_worker_to_worker_when_a_phase_needs_two_devices(tmp_path, runner):
    on_ray = execute(tmp_path / "ray" / "out", "source.rows=64", text=ON_TWO_WORKERS, log=tmp_path, runner=runner)
    here = execute(tmp_path / "here" / "out", "source.rows=64", text=ON_TWO_WORKERS, log=tmp_path)
    assert on_ray == here
    assert files_of(tmp_path / "ray" / "out", on_ray) == files_of(tmp_path / "here" / "out", here)


def test_a_part_is_set_aside_and_fetched_once_when_it_kills_the_second_worker(tmp_path, runner):
    overrides = ("develop_on_gpu.crash_row=24", "source.rows=64")
    result = execute(tmp_path / "out", *overrides, text=ON_TWO_WORKERS, runner=runner)
    assert result.quarantined == (("draw-develop_on_gpu", 1),)
    assert ledger_of(tmp_path / "out", result)["row"].to_list() == list(range(64))
    assert logged(tmp_path / "drawn").count(24) == 1


def test_every_unit_is_done_once_when_the_first_ones_are_run_apart_to_learn_what_they_cost(
    tmp_path, runner, monkeypatch
):
    monkeypatch.setattr("curation.runtime.ray_runner.FIRST_PARTS", 1)
    sizes, numbers = [], []
    size, run = runner._size, Pipeline.run
    monkeypatch.setattr(runner, "_size", lambda pools, at, units: sizes.append(units) or size(pools, at, units))
    monkeypatch.setattr(Pipeline, "run", lambda self, some, hear: numbers.append(len(some)) or run(self, some, hear))
    result = execute(tmp_path / "out", text=ON_TWO_WORKERS, log=tmp_path, runner=runner)
    assert ledger_of(tmp_path / "out", result)["row"].to_list() == list(range(100))
    assert logged(tmp_path / "drawn") == [row for row in range(100) if row % 7]
    # Two parts for each of two workers, then the other three with as many workers as those tell.
    assert numbers[:2] == [4, 3]
    assert sizes[:2] == [7, 3]


def test_a_plan_is_refused_with_the_sum_when_it_cannot_fit(runner):
    class Greedy:
        name, steps, costs = "greedy", (), {}
        resources = Resources(cpus=10_000)

    with pytest.raises(PlanError, match="needs 10000 CPUs"):
        runner.run([Greedy()], [0], lambda report: None)


class NoModel(Operator):
    name, resources = "no_model", Resources(cpus=1)

    def setup(self):
        raise RuntimeError("there is no such model")

    def run(self, unit, table):
        raise AssertionError("it was never set up")


def test_the_cause_is_told_when_workers_cannot_be_set_up(runner):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with pytest.raises(CurationError) as caught:
        runner.run([NoModel()], [0, 1], lambda report: None)
    assert str(caught.value) == "no_model: RuntimeError: there is no such model"


def test_sigterm_means_what_it_did_when_ray_has_started():
    before = signal.getsignal(signal.SIGTERM)
    with _own_sigterm():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    assert signal.getsignal(signal.SIGTERM) is before
