"""SIGTERM lets what is in work be done for a while, and no longer."""

import os
import signal
import threading
import time

import pyarrow as pa
import pytest

from curation.engine.operator import Handover, Operator
from curation.runtime.in_process import InProcessRunner
from curation.runtime.notice_to_end import notice_to_end
from schemas.records import UnitReport


def interrupt(number, frame):
    raise KeyboardInterrupt(number)


@pytest.fixture(autouse=True)
def _interrupting():
    """SIGTERM does what it does in a command."""
    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    assert signal.signal(signal.SIGTERM, before) is interrupt, "the block has put back what was there"


def tell():
    os.kill(os.getpid(), signal.SIGTERM)


class Telling(Operator):
    """Tells this process to end in the midst of one unit, and takes a while for each."""

    name = "telling"

    def __init__(self, at):
        self.at = at
        self.begun = []

    def run(self, unit, table: pa.Table | None):
        self.begun.append(unit)
        if unit == self.at:
            tell()
        time.sleep(0.2)
        return Handover(report=UnitReport(unit=unit))


def told_and_then(rest, grace_s=60.0, times=1):
    """What a block does that is told to end so many times, and then does the rest."""
    with notice_to_end(grace_s) as notice:
        for _ in range(times):
            tell()
        assert notice.given
        rest()


def test_it_is_an_interrupt_at_the_end_when_a_notice_was_given():
    done = []
    with pytest.raises(KeyboardInterrupt):
        told_and_then(lambda: done.append("the rest"))
    assert done == ["the rest"]


def test_nothing_happens_when_no_notice_was_given():
    with notice_to_end(60) as notice:
        pass
    assert not notice.given
    assert [thread for thread in threading.enumerate() if thread.name == "notice-to-end"] == []


@pytest.mark.parametrize(("grace_s", "times"), [(60, 2), (0.2, 1), (0, 1)])
def test_the_block_ends_at_once_when_it_is_told_again_or_the_time_is_over_or_there_was_none(grace_s, times):
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        told_and_then(lambda: time.sleep(50), grace_s, times)
    assert time.monotonic() - begun < 40


def test_an_error_stays_what_it_is_when_it_comes_after_the_notice():
    with pytest.raises(ZeroDivisionError):
        told_and_then(lambda: 1 // 0)


def test_a_thread_may_run_units_when_signals_do_not_reach_it():
    reports = []
    runner = InProcessRunner(grace_s=60)
    thread = threading.Thread(target=runner.run, args=([Telling(None)], [0, 1], reports.append))
    thread.start()
    thread.join()
    assert [report.unit for report in reports] == [0, 1]


@pytest.mark.parametrize(("threads", "most"), [(1, 2), (3, 6)])
def test_what_is_in_work_is_reported_and_nothing_else_begun_when_a_runner_is_told(threads, most):
    operator, reports = Telling(at=1), []
    with pytest.raises(KeyboardInterrupt):
        InProcessRunner(threads=threads, grace_s=60).run([operator], range(40), reports.append)
    assert sorted(report.unit for report in reports) == sorted(operator.begun)
    assert 1 in operator.begun
    assert len(reports) <= most
