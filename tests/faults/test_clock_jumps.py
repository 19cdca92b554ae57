"""A wall clock that jumps by weeks, forwards and backwards, while a run goes on."""

import json
import time

from deadly_steps import Plot
from fault_runs import assert_same_end, commits_of, ended, wait_until
from jumping_clock import JumpingClock

FETCHED = "pool/fetch_images-*/commits-*/*.json"
DAY_S = 86_400


def test_nothing_ends_early_late_or_otherwise_when_the_clock_jumps(web, undisturbed_light_web, tmp_path):
    undisturbed, asked = undisturbed_light_web
    before = web.requests()
    out, clock = tmp_path / "out", JumpingClock(tmp_path / "clock")
    clock.jump(0)
    environment = {"JUMPING_CLOCK": str(clock.file)}
    driver = web.light_work.start(out, plot=Plot(tmp_path / "plot"), environment=environment)
    wait_until(lambda: len(commits_of(out, FETCHED)) >= 2, driver)
    clock.jump(40)
    wait_until(lambda: len(commits_of(out, FETCHED)) >= 5, driver)
    clock.jump(-400)
    code, messages = ended(driver)
    assert code == 0, messages
    assert_same_end(out, undisturbed)
    assert {path: times for path, times in (web.requests() - before).items() if times > asked[path]} == {}
    # The jumps were real: what the run noted lies weeks apart.
    (metrics,) = (out / "metrics").glob("*fetch_images*.jsonl")
    times = [json.loads(line)["time"] for line in metrics.read_text().splitlines()]
    assert max(times) - min(times) > 400 * DAY_S
    assert min(times) < time.time() - 399 * DAY_S


def test_only_the_rest_is_done_when_the_clock_is_behind_that_of_the_run_before(toys, undisturbed_toys, tmp_path):
    out, clock = tmp_path / "out", JumpingClock(tmp_path / "clock")
    environment = {"JUMPING_CLOCK": str(clock.file)}
    clock.jump(400)
    dying = toys.start(out, plot=Plot(tmp_path / "plot", units={"write_lines": 2}), environment=environment)
    assert ended(dying)[0] == -9
    clock.jump(-400)
    rest = Plot(tmp_path / "rest")
    assert ended(toys.start(out, plot=rest, environment=environment))[0] == 0
    assert_same_end(out, undisturbed_toys)
    assert not any(rest.work(kind) for kind in ("measure_text", "draw", "develop_on_gpu"))
