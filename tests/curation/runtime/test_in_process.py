"""The runner without Ray."""

import threading

import pytest
from botocore.exceptions import NoCredentialsError
from scripted_operator import DONE, Scripted

from curation.engine.operator import Handover, Operator
from curation.errors import AccessError, CorruptionError
from curation.runtime.in_process import InProcessRunner
from schemas.records import UnitReport


def run(*turns, units=(0,), max_tries=3):
    operator, reports = Scripted(*turns), []
    try:
        InProcessRunner(max_tries).run([operator], list(units), reports.append)
    finally:
        assert operator.calls.count("setup") == operator.calls.count("close") == 1
        assert operator.calls[-1] == "close"
    return operator.calls[1:-1], reports


def test_a_unit_is_tried_until_it_is_done_when_it_fails_at_first():
    calls, reports = run(ValueError(), ValueError(), DONE)
    assert (calls, reports) == ([0, 0, 0], [DONE.report])


def test_the_last_error_is_reported_when_every_try_fails():
    calls, (report,) = run(ValueError("first"), ValueError("second"), max_tries=2)
    assert (calls, report.error) == ([0, 0], "ValueError: second")


def test_the_others_are_done_when_one_unit_fails():
    calls, reports = run(ValueError("bad"), DONE, units=(0, 1), max_tries=1)
    assert calls == [0, 1]
    assert [report.error for report in reports] == ["ValueError: bad", None]


def test_it_stops_at_once_when_data_is_damaged():
    with pytest.raises(CorruptionError, match="is gone"):
        run(CorruptionError("x.parquet: is gone"), DONE, units=(0, 1))


def test_it_stops_at_once_when_a_store_does_not_let_it_in():
    with pytest.raises(AccessError, match="Unable to locate credentials"):
        run(NoCredentialsError(), DONE, units=(0, 1))


class Meeting(Operator):
    """Units of which each waits until another one is being worked on, too."""

    name = "meeting"

    def __init__(self, broken=None):
        self.together = threading.Barrier(2)
        self.broken = broken

    def run(self, unit, table):
        self.together.wait(timeout=2)
        if unit == self.broken:
            raise CorruptionError(f"unit {unit} is damaged")
        return Handover(report=UnitReport(unit=unit))


def test_each_unit_is_reported_once_when_two_are_worked_on_at_a_time():
    reports = []
    InProcessRunner(1, threads=2).run([Meeting()], list(range(10)), reports.append)
    assert [(report.unit, report.error) for report in reports] == [(unit, None) for unit in range(10)]


def test_it_stops_when_data_is_damaged_and_two_units_are_worked_on_at_a_time():
    reports = []
    with pytest.raises(CorruptionError, match="unit 2 is damaged"):
        InProcessRunner(1, threads=2).run([Meeting(broken=2)], list(range(10)), reports.append)
    assert [report.unit for report in reports] == [0, 1]
