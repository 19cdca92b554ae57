"""SIGTERM with a grace, as spot machines and schedulers give it."""

import signal
import time

import pytest
from deadly_steps import Plot
from fault_runs import assert_same_end, commits_of, ended, record_of, wait_until

GRACE_S = 30
PART_ROWS = 16
DRAWN = "pool/draw-develop_on_gpu-*/commits-*/*.json"


@pytest.mark.parametrize("on_ray", [False, True], ids=["in-process", "on Ray"])
def test_what_is_done_stays_committed_and_the_rest_is_left_when_the_driver_is_told_to_end(
    on_ray, toys, undisturbed_toys, request, tmp_path
):
    address = request.getfixturevalue("cluster").address if on_ray else None
    out = tmp_path / "out"
    plot = Plot(tmp_path / "plot")
    driver = toys.start(out, "develop_on_gpu.pause_s=1.0", plot=plot, address=address)
    wait_until(lambda: len(commits_of(out, DRAWN)) >= 3, driver)
    driver.send_signal(signal.SIGTERM)
    told = time.monotonic()
    code, messages = ended(driver)
    assert time.monotonic() - told < GRACE_S
    assert code == 130, messages
    assert "the same command goes on from there" in messages
    assert record_of(out).state == "interrupted"
    committed = commits_of(out, DRAWN)
    assert len(committed) < 7

    rest = Plot(tmp_path / "rest")
    assert toys.run(out, plot=rest) == 0
    assert_same_end(out, undisturbed_toys)
    done = {row // PART_ROWS for row in rest.work("draw")}
    assert done.isdisjoint(committed)
