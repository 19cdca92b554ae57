"""The Ray runner against the one without Ray, with workers that die on the way."""

import os
import signal
import sys
import threading
import time
from collections import Counter

import polars as pl
import pyarrow as pa
import pytest
import ray
import toy_steps
from toy_runs import RECIPE, execute, files_of, ledger_of, logged

from curation.contracts.resources import Resources
from curation.contracts.shared import SharedPart, SharedSpec
from curation.engine.operator import Handover, Operator
from curation.errors import CurationError, PlanError
from curation.runtime.on_ray.pipeline import Pipeline
from curation.runtime.on_ray.runner import RayRunner, _own_sigterm
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


class Deadly(Operator):
    """Notes that it begins a unit, and dies of some; a while later, so that what it did before is not lost with it."""

    name, resources, steps, costs = "deadly", Resources(cpus=1), (), {}

    def __init__(self, folder, deadly, after_s=0.3):
        self._folder, self._deadly, self._after_s = folder, deadly, after_s

    def run(self, unit, table):
        (self._folder / f"{unit}-{os.getpid()}").touch()
        if unit in self._deadly:
            time.sleep(self._after_s)
            os._exit(1)
        return Handover(report=UnitReport(unit=unit))


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


def test_only_deadly_units_are_set_aside_when_one_worker_has_them_all_before_it(ray_address, tmp_path):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    reports = []
    RayRunner(max_tries=3, max_workers=1, address=ray_address).run(
        [Deadly(tmp_path, {7, 8, 30})], range(40), reports.append
    )
    assert sorted(report.unit for report in reports) == list(range(40))
    aside = {report.unit: report.error for report in reports if report.error}
    assert aside == dict.fromkeys([7, 8, 30], "deadly crashed its worker at every try")
    begun = Counter(int(name.name.split("-")[0]) for name in tmp_path.iterdir())
    assert begun == Counter(range(40)) + Counter(2 * list(aside))


def test_the_innocent_are_done_when_their_answers_are_lost_with_a_worker(ray_address, tmp_path):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    reports = []
    deadly = Deadly(tmp_path, set(range(5, 40, 8)), after_s=0.0)
    RayRunner(max_tries=2, address=ray_address).run([deadly], range(40), reports.append)
    assert sorted(report.unit for report in reports) == list(range(40))
    assert {report.unit for report in reports if report.error} == set(range(5, 40, 8))


def test_a_unit_is_tried_once_more_alone_when_it_has_but_one_try_and_may_not_be_to_blame(ray_address, tmp_path):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    reports = []
    RayRunner(max_tries=1, max_workers=1, address=ray_address).run([Deadly(tmp_path, {4})], range(40), reports.append)
    assert sorted(report.unit for report in reports) == list(range(40))
    assert [report.unit for report in reports if report.error] == [4]
    begun = Counter(int(name.name.split("-")[0]) for name in tmp_path.iterdir())
    assert begun == Counter(range(40)) + Counter([4])


def test_every_unit_is_done_once_when_the_first_ones_are_run_apart_to_learn_what_they_cost(
    tmp_path, runner, monkeypatch
):
    monkeypatch.setattr("curation.runtime.on_ray.runner.FIRST_PARTS", 1)
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


def test_it_ends_when_workers_die_again_and_again_before_they_are_set_up(runner):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with pytest.raises(CurationError, match=r"^no_memory: 5 workers in a row died before one did a unit: "):
        runner.run([NoMemory()], [0, 1], lambda report: None)


def test_it_ends_when_unit_after_unit_kills_its_workers_and_none_is_done(runner, monkeypatch, tmp_path):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr("curation.runtime.on_ray.pipeline.MOST_CRASHED", 3)
    said = "deadly crashed its worker at every try, for each of 3 units, and no unit was done"
    with pytest.raises(CurationError, match=f"^{said}$"):
        runner.run([Deadly(tmp_path, set(range(20)), after_s=0.0)], range(20), lambda report: None)


def test_all_are_set_aside_when_there_are_none_but_units_that_kill_their_workers(ray_address, tmp_path):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    reports = []
    deadly = Deadly(tmp_path, set(range(5)), after_s=0.0)
    RayRunner(max_tries=2, max_workers=1, address=ray_address).run([deadly], range(5), reports.append)
    assert sorted(report.unit for report in reports if report.error) == list(range(5))


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


class KeepsQueues:
    """A meter that keeps how many units wait in front of each operator."""

    def __init__(self):
        self.queued = {}

    def add(self, metric, amount, **labels):
        pass

    def set(self, metric, value, **labels):
        if metric.name == "curation_units_queued":
            self.queued[labels["operator"]] = value


def test_no_more_is_begun_than_the_plan_tells_when_the_next_operator_does_not_come_on(tmp_path, ray_address):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    reports, meter = [], KeepsQueues()
    # All processors are taken: workers beyond the plan may be asked for, and wait.
    run = threading.Thread(
        target=RayRunner(address=ray_address, meter=meter).run,
        args=([HandsOver(tmp_path), WaitsForLeave(tmp_path)], range(36), reports.append),
    )
    run.start()
    # Four between one worker and the next, and one that the first has in hand.
    while made(tmp_path) < 5:
        time.sleep(0.1)
    time.sleep(5)
    assert made(tmp_path) == 5
    # Of the five that are made one is in hand.
    assert meter.queued == {"hands_over": 31, "waits_for_leave": 4}
    (tmp_path / "leave").touch()
    run.join(timeout=60)
    assert meter.queued == {"hands_over": 0, "waits_for_leave": 0}
    assert sorted((report.unit, report.kept) for report in reports) == [(unit, unit) for unit in range(36)]


@ray.remote(num_cpus=1)
class Holder:
    """Another run that has one processor and waits for a second one."""

    def wait(self):
        while ray.available_resources().get("CPU", 0.0) < 1:
            time.sleep(0.2)


def test_what_it_holds_is_given_back_when_another_run_may_wait_for_it(tmp_path, ray_address, monkeypatch, caplog):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr("curation.runtime.on_ray.staffing.PATIENCE_S", 6.0)
    (tmp_path / "leave").touch()
    holder = Holder.remote()
    ray.get(holder.__ray_ready__.remote())
    reports = []
    run = threading.Thread(
        target=RayRunner(address=ray_address).run,
        args=([HandsOver(tmp_path), WaitsForLeave(tmp_path)], range(6), reports.append),
    )
    run.start()
    while not ray.available_resources().get("CPU", 0.0) < 1:
        time.sleep(0.1)
    ray.get(holder.wait.remote(), timeout=60)
    ray.kill(holder)
    run.join(timeout=150)
    assert "no worker for" in caplog.text
    assert "all are given back" in caplog.text
    assert sorted(report.unit for report in reports) == list(range(6))


class Counts(SharedPart):
    async def answer(self, question):
        return 0


class Timed(Operator):
    """Takes so long for a unit. The last one tells which processes did it, and whether they share what is shared."""

    resources = Resources(cpus=0.5)
    shared = {"counts": SharedSpec(Counts, workers_per_copy=100)}  # noqa: RUF012 - as the contract has it

    def __init__(self, name, cost_s):
        self.name, self.steps, self._cost_s, self._linked = name, (name,), cost_s, False

    def connect(self, links):
        self._linked = bool(links)

    def run(self, unit, table):
        time.sleep(self._cost_s)
        told = f"{self.name} {os.getpid()} {self._linked}"
        if table is None:
            return Handover(table=pa.table({"told": [told], "seconds": [self._cost_s]}))
        seconds = {"quick": table["seconds"][0].as_py(), "slow": self._cost_s}
        names = {table["told"][0].as_py(): 1, told: 1}
        return Handover(report=UnitReport(unit=unit, rows_measured=1, seconds=seconds, rejected=names))


def test_pools_are_resized_where_they_are_and_share_what_is_shared_when_costs_are_known(ray_address, monkeypatch):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr("curation.runtime.on_ray.runner.FIRST_PARTS", 1)
    reports = []
    runner = RayRunner(address=ray_address)
    runner.run([Timed("quick", 0.01), Timed("slow", 0.2)], range(90), reports.append)
    assert sorted(report.unit for report in reports) == list(range(90))
    # Two workers of each do two units for each of them; the others are done by one and by three.
    late = Counter(name for report in reports if report.unit >= 70 for name in report.rejected)
    assert sorted(name.split()[0] for name in late) == ["quick", "slow", "slow", "slow"]
    assert {name.split()[2] for name in late} == {"True"}


def test_sigterm_means_what_it_did_when_ray_has_started():
    before = signal.getsignal(signal.SIGTERM)
    with _own_sigterm():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    assert signal.getsignal(signal.SIGTERM) is before
