"""The runner without Ray."""

import pytest
from scripted_operator import DONE, Scripted

from curation.errors import CorruptionError
from curation.runtime.in_process import InProcessRunner


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
