"""The Ray runner against the one without Ray, with workers that die on the way."""

import os
import signal
import sys
import threading
import time

import polars as pl
import pyarrow as pa
import pytest
import ray
import toy_steps
from toy_runs import RECIPE, execute, files_of, ledger_of, logged

from curation.contracts.resources import Resources
from curation.engine.operator import Handover, Operator
from curation.errors import CurationError, PlanError
from curation.runtime.ray_pipeline import Pipeline
from curation.runtime.ray_runner import RayRunner, _own_sigterm
from schemas.records import UnitReport

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


class NoMemory(NoModel):
    name = "no_memory"

    def setup(self):
        os._exit(1)


def test_it_ends_when_workers_die_again_and_again_while_they_are_set_up(runner):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with pytest.raises(CurationError, match=r"^no_memory: 2 workers in a row died while they were set up: "):
        runner.run([NoMemory()], [0, 1], lambda report: None)


class HandsOver(Operator):
    """Hands over a table of its unit's number, and notes that it did."""

    name, resources = "hands_over", Resources(cpus=1)

    def __init__(self, folder):
        self._folder = folder

    def run(self, unit, table):
        (self._folder / f"made-{unit}").touch()
        return Handover(table=pa.table({"unit": [unit]}))


class WaitsForLeave(Operator):
    """Reports as many rows as the number that it is handed, once it may."""

    name, resources = "waits_for_leave", Resources(cpus=1)

    def __init__(self, folder):
        self._folder = folder

    def run(self, unit, table):
        while not (self._folder / "leave").exists():
            time.sleep(0.05)
        return Handover(report=UnitReport(unit=unit, kept=table["unit"][0].as_py()))


def made(folder):
    return len(list(folder.glob("made-*")))


def test_no_more_is_begun_than_the_plan_tells_when_the_next_operator_does_not_come_on(tmp_path, ray_address):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    reports = []
    runner = RayRunner(address=ray_address, max_workers=1)
    operators = [HandsOver(tmp_path), WaitsForLeave(tmp_path)]
    run = threading.Thread(target=runner.run, args=(operators, range(18), reports.append))
    run.start()
    # Four between one worker and the next, and one that the first has in hand.
    while made(tmp_path) < 5:
        time.sleep(0.1)
    time.sleep(2)
    assert made(tmp_path) == 5
    (tmp_path / "leave").touch()
    run.join(timeout=60)
    assert sorted((report.unit, report.kept) for report in reports) == [(unit, unit) for unit in range(18)]


def test_two_runs_end_when_each_holds_the_processors_that_the_other_waits_for(tmp_path, ray_address, monkeypatch):
    monkeypatch.setattr("curation.runtime.ray_staffing.PATIENCE_S", 4.0)
    (tmp_path / "leave").touch()
    reports = {name: [] for name in "ab"}
    runs = [
        threading.Thread(
            target=RayRunner(address=ray_address).run,
            args=([HandsOver(tmp_path), WaitsForLeave(tmp_path)], range(6), heard.append),
        )
        for heard in reports.values()
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join(timeout=150)
    assert {name: sorted(report.unit for report in heard) for name, heard in reports.items()} == {
        name: list(range(6)) for name in "ab"
    }


def test_sigterm_means_what_it_did_when_ray_has_started():
    before = signal.getsignal(signal.SIGTERM)
    with _own_sigterm():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    assert signal.getsignal(signal.SIGTERM) is before
