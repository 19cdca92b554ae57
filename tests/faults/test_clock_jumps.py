"""A wall clock that jumps by weeks, forwards and backwards, while a run goes on."""

import json
import shutil
import time
from pathlib import Path

import pytest
from deadly_steps import Plot
from fault_runs import assert_same_end, commits_of, ended, wait_until

FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
FETCHED = "pool/fetch_images-*/commits-*/*.json"

pytestmark = pytest.mark.skipif(FAKETIME is None, reason="needs libfaketime: apt-get install libfaketime")


def set_clock(file, shift):
    """In one step: a reader must not find half of it."""
    new = file.with_suffix(".new")
    new.write_text(f"{shift}\n")
    shutil.move(new, file)


def test_nothing_ends_early_late_or_otherwise_when_the_clock_jumps(web, undisturbed_web, tmp_path):
    undisturbed, asked = undisturbed_web
    before = web.requests()
    out, clock = tmp_path / "out", tmp_path / "clock"
    set_clock(clock, "+0d")
    begin = time.monotonic()
    driver = web.work.start(
        out,
        plot=Plot(tmp_path / "plot"),
        environment={
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            # What jumps is the wall clock: no kernel lets the monotonic one do so.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        },
    )
    wait_until(lambda: len(commits_of(out, FETCHED)) >= 2, driver)
    set_clock(clock, "+40d")
    wait_until(lambda: len(commits_of(out, FETCHED)) >= 5, driver)
    set_clock(clock, "-400d")
    assert ended(driver)[0] == 0
    assert time.monotonic() - begin < 240
    assert_same_end(out, undisturbed)
    assert {path: times for path, times in (web.requests() - before).items() if times > asked[path]} == {}
    # The jumps were real: what the run noted lies weeks apart.
    (metrics,) = (out / "metrics").glob("*fetch_images*.jsonl")
    times = [json.loads(line)["time"] for line in metrics.read_text().splitlines()]
    assert max(times) - min(times) > 400 * 86_400


def test_only_the_rest_is_done_when_the_clock_is_behind_that_of_the_run_before(toys, undisturbed_toys, tmp_path):
    out, clock = tmp_path / "out", tmp_path / "clock"
    environment = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    set_clock(clock, "+400d")
    dying = toys.start(out, plot=Plot(tmp_path / "plot", units={"write_lines": 2}), environment=environment)
    assert ended(dying)[0] == -9
    set_clock(clock, "-400d")
    rest = Plot(tmp_path / "rest")
    assert ended(toys.start(out, plot=rest, environment=environment))[0] == 0
    assert_same_end(out, undisturbed_toys)
    assert not any(rest.work(kind) for kind in ("measure_text", "draw", "develop_on_gpu"))
