"""What workers on Ray share: limits per host over real sockets, and a coordinator that is killed."""

import asyncio
import os
import signal
import sys
import threading
import time

import fetch_parts
import pytest
import ray
import ray._private.state
from fetch_parts import FetchOperator
from raw_web import RawWeb

from curation.contracts.shared import SharedPart, SharedSpec
from curation.runtime.in_process import InProcessRunner
from curation.runtime.on_ray.runner import RayRunner
from curation.runtime.on_ray.shared import start_shared, stop_shared

BODY = b"some bytes"

# Ray takes its time to start, and so do workers in place of dead ones.
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def runner(ray_address):
    # The workers cannot import the tests' modules: what they need of them travels whole.
    for module in (fetch_parts, sys.modules[__name__]):
        ray.cloudpickle.register_pickle_by_value(module)
    return RayRunner(max_tries=2)


@pytest.fixture
def web():
    server = RawWeb()
    yield server
    server.close()


class Counting(SharedPart):
    """Counts its questions; dies when told to."""

    def __init__(self):
        self._asked = 0
        self._replaces = False

    def replaces_a_lost_one(self):
        self._replaces = True

    async def answer(self, question):
        if question == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        self._asked += 1
        await asyncio.sleep(0)
        return self._asked, self._replaces


def asked(link, *questions):
    async def ask():
        return [await link.ask(copy % link.copies, question) for copy, question in enumerate(questions)]

    return asyncio.run(ask())


def test_copies_are_as_many_as_the_workers_need_and_count_apart(runner):
    links = start_shared({"count": SharedSpec(Counting, workers_per_copy=2)}, workers=3)
    assert asked(links["count"], "a", "b", "c") == [(1, False), (1, False), (2, False)]
    stop_shared(links)


def test_nothing_is_started_when_a_worker_is_alone(runner):
    assert start_shared({"count": SharedSpec(Counting, workers_per_copy=2)}, workers=1) == {}


def test_part_is_made_anew_when_its_process_is_killed(runner):
    links = start_shared({"count": SharedSpec(Counting, workers_per_copy=2)}, workers=2)
    assert asked(links["count"], "a", "b") == [(1, False), (2, False)]
    with pytest.raises(ConnectionError):
        asked(links["count"], "die")
    deadline = time.monotonic() + 30
    while True:
        try:
            answer = asked(links["count"], "c")[0]
            break
        except ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert answer == (1, True)
    stop_shared(links)


def _fetched(runner, urls, units, **settings):
    reports = []
    runner.run([FetchOperator(urls, len(urls) // units, **settings)], list(range(units)), reports.append)
    assert len(reports) == units
    return reports


def _serve_slowly(web, paths, seconds, began):
    async def handler(exchange):
        began.append(time.monotonic())
        await asyncio.sleep(seconds)
        await exchange.respond(200, BODY)

    return [web.handle(path, handler) for path in paths]


def test_a_server_sees_the_limit_of_one_when_two_workers_fetch_from_it(runner, web):
    began = []
    urls = _serve_slowly(web, [f"/{number}" for number in range(240)], 0.02, began)
    reports = _fetched(runner, urls, 4, per_host_concurrency=3, concurrency=32)
    assert sum(report.kept for report in reports) == 240
    assert web.most_together == {"127.0.0.1": 3}


def test_a_server_sees_the_rate_of_one_when_two_workers_fetch_from_it(runner, web):
    began = []
    urls = _serve_slowly(web, [f"/{number}" for number in range(60)], 0.0, began)
    reports = _fetched(runner, urls, 2, per_host_rate=20.0, concurrency=32)
    assert sum(report.kept for report in reports) == 60
    began.sort()
    # 59 intervals of 50 ms. No second has more than its 20, but for what the way of a request makes them meet.
    assert 2.8 < began[-1] - began[0] < 5.0
    assert max(sum(at <= other < at + 1 for other in began) for at in began) <= 23


@pytest.mark.slow
def test_nothing_is_lost_and_the_limit_holds_when_the_coordinator_is_killed(runner, web):
    began = []
    urls = _serve_slowly(web, [f"/{number}" for number in range(200)], 0.03, began)
    killed = threading.Event()

    def kill():
        while len(began) < 40:
            time.sleep(0.01)
        actors = ray._private.state.actors().values()
        alive = [each for each in actors if each["ActorClassName"] == "_SharedActor" and each["State"] == "ALIVE"]
        os.kill(alive[0]["Pid"], signal.SIGKILL)
        killed.set()

    threading.Thread(target=kill, daemon=True).start()
    reports = _fetched(runner, urls, 2, per_host_concurrency=3, concurrency=32)
    assert killed.is_set()
    assert sum(report.kept for report in reports) == 200
    assert web.most_together == {"127.0.0.1": 3}


def test_the_same_operator_runs_without_ray_when_nobody_shares(web):
    urls = [web.on(f"/{number}", body=BODY) for number in range(10)]
    reports = _fetched(InProcessRunner(), urls, 2, per_host_concurrency=2)
    assert [report.kept for report in reports] == [5, 5]
