"""The time in steps, as reports tell it."""

from curation.runtime.on_ray.worker_times import StepTimes
from schemas.records import UnitReport


def test_time_is_a_mean_over_rows_when_reports_tell_it():
    heard = []
    times = StepTimes(heard.append)
    reports = [
        UnitReport(unit=0, rows_measured=10, seconds={"fetch": 1.0, "decode": 2.0}),
        UnitReport(unit=1, rows_measured=30, seconds={"fetch": 3.0, "decode": 2.0}),
        # Taken over, and set aside: neither tells anything.
        UnitReport(unit=2, rows_measured=0),
        UnitReport(unit=3, error="broken"),
    ]
    for report in reports:
        times.hear(report)
    assert heard == reports
    assert times.row_seconds(["fetch"]) == 0.1
    assert times.row_seconds(["fetch", "decode"]) == 0.2


def test_nothing_is_known_when_a_step_told_nothing():
    times = StepTimes(lambda report: None)
    assert times.row_seconds(["fetch"]) is None
    times.hear(UnitReport(unit=0, rows_measured=10, seconds={"fetch": 1.0}))
    assert times.row_seconds(["fetch", "other"]) is None
    assert times.row_seconds([]) is None
