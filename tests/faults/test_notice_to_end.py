"""SIGTERM with a grace, as spot machines and schedulers give it."""

import signal
import time

import pytest
from deadly_steps import Plot
from fault_runs import assert_same_end, cluster_of, commits_of, ended, record_of, wait_until

GRACE_S = 30
ROWS, PART_ROWS = 400, 16
PARTS = ROWS // PART_ROWS
DRAWN = "pool/draw-develop_on_gpu-*/commits-*/*.json"
MANY = f"source.rows={ROWS}"


@pytest.fixture(scope="module")
def undisturbed_many(toys, tmp_path_factory):
    """The folder of a run of more toys that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed-many")
    assert toys.run(folder / "out", MANY, plot=Plot(folder / "plot")) == 0
    return folder / "out"


@pytest.fixture(params=[False, True], ids=["in-process", "on Ray"])
def address(request):
    """Of the cluster that a run works on; None: it works in its own process."""
    return request.getfixturevalue("cluster").address if request.param else None


def parts_of(plot, name):
    """The parts that a step has begun with."""
    return {row // PART_ROWS for row in plot.work(name)}


def assert_interrupted(out, code, messages):
    assert code == 130, messages
    assert "the same command goes on from there" in messages
    assert record_of(out).state == "interrupted"


def assert_goes_on(toys, out, undisturbed, plot):
    """The rest is done, nothing of what is committed again, and all comes to the same end."""
    committed = commits_of(out, DRAWN)
    assert toys.run(out, MANY, plot=plot) == 0
    assert parts_of(plot, "draw") == set(range(PARTS)) - committed
    assert_same_end(out, undisturbed)


def test_what_is_in_work_is_committed_and_the_rest_left_when_the_driver_is_told_to_end(
    address, toys, undisturbed_many, tmp_path
):
    out, plot = tmp_path / "out", Plot(tmp_path / "plot")
    driver = toys.start(out, MANY, "develop_on_gpu.pause_s=0.5", plot=plot, address=address)
    wait_until(lambda: len(commits_of(out, DRAWN)) >= 3, driver)
    driver.send_signal(signal.SIGTERM)
    told = time.monotonic()
    code, messages = ended(driver)
    assert time.monotonic() - told < GRACE_S
    assert_interrupted(out, code, messages)
    committed = commits_of(out, DRAWN)
    assert committed == parts_of(plot, "draw")
    assert plot.repeated("draw") == set()
    assert 3 <= len(committed) < PARTS
    assert_goes_on(toys, out, undisturbed_many, Plot(tmp_path / "rest"))


@pytest.mark.parametrize("how", ["told again", "the time is over", "no time at all"])
def test_what_is_in_work_is_left_as_well_when_there_is_no_time_for_it(address, how, toys, undisturbed_many, tmp_path):
    out, plot = tmp_path / "out", Plot(tmp_path / "plot")
    grace_s = {"told again": 500, "the time is over": 2, "no time at all": 0}[how]
    settings = (MANY, "develop_on_gpu.pause_s=500", f"run.grace_s={grace_s}")
    driver = toys.start(out, *settings, plot=plot, address=address)
    wait_until(lambda: parts_of(plot, "develop_on_gpu"), driver)
    driver.send_signal(signal.SIGTERM)
    if how == "told again":
        time.sleep(2)
        assert driver.poll() is None
        driver.send_signal(signal.SIGTERM)
    code, messages = ended(driver, timeout=100)
    assert_interrupted(out, code, messages)
    assert commits_of(out, DRAWN) == set()
    assert_goes_on(toys, out, undisturbed_many, Plot(tmp_path / "rest"))


def test_the_run_ends_within_seconds_when_all_of_ray_is_told_to_end_with_it(toys, undisturbed_many, tmp_path):
    # As where a scheduler ends all processes of a job at once.
    out, plot = tmp_path / "out", Plot(tmp_path / "plot")
    with cluster_of({"num_cpus": 3, "num_gpus": 1}) as own:
        settings = (MANY, "develop_on_gpu.pause_s=500", "run.grace_s=500")
        driver = toys.start(out, *settings, plot=plot, address=own.address)
        wait_until(lambda: parts_of(plot, "develop_on_gpu"), driver)
        driver.send_signal(signal.SIGTERM)
        for processes in list(own.head_node.all_processes.values()):
            for one in processes:
                one.process.terminate()
        # Ray by itself ends a process after a minute in which it has not reached the head.
        code, messages = ended(driver, timeout=45)
    if code == 130:
        assert_interrupted(out, code, messages)
    else:
        # What Ray ends a process with that finds its object store gone.
        assert code == 1
    assert_goes_on(toys, out, undisturbed_many, Plot(tmp_path / "rest"))
