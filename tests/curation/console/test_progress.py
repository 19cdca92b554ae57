"""What a person sees of a run."""

import io

import pytest
from rich.console import Console

from curation.console import progress
from curation.console.progress import LiveProgress, PlainProgress
from curation.engine.events import ItemStart
from schemas.records import Revisited, UnitReport

REPORT = UnitReport(unit=3, rows_in=2000, kept=1500, rejected={"a.b": 300, "a.c": 100}, failed={"http_gone": 100})


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_plain_lines_tell_how_far_it_is_when_some_time_has_passed(clock):
    stream = io.StringIO()
    plain = PlainProgress(stream)
    plain.item_started(ItemStart("phase", "fetch", 10, 2))
    for _ in range(4):
        clock.now += 2.0
        plain.unit_done(REPORT)
    plain.item_ended(8.0)
    assert stream.getvalue().splitlines() == [
        "phase fetch: 10 units, 2 done before",
        "  5/10 units, 1,000 rows/s, kept 4,500, rejected 1,200, failed 300, 10 s left",
        "  done in 8.0 s: 1,000 rows/s, kept 6,000, rejected 1,600, failed 400",
    ]


def test_it_is_told_how_many_rows_were_asked_again_when_any_were(clock):
    stream = io.StringIO()
    plain = PlainProgress(stream)
    plain.item_started(ItemStart("phase", "fetch", 2, 0))
    clock.now += 2.0
    for _ in range(2):
        plain.unit_done(REPORT.model_copy(update={"revisited": Revisited(asked=1200, unchanged=700)}))
    plain.item_ended(2.0)
    assert stream.getvalue().splitlines()[-1].endswith("failed 200, asked again 2,400, unchanged 1,400")


def test_one_line_says_so_when_there_was_nothing_to_do(clock):
    stream = io.StringIO()
    plain = PlainProgress(stream)
    plain.item_started(ItemStart("decision", "select", 1, 1))
    plain.item_ended(0.04)
    assert stream.getvalue() == "decision select: 1 units, 1 done before\n  done in 0.0 s: nothing to do\n"


def test_a_unit_that_was_set_aside_is_told_at_once_and_in_the_end(clock):
    stream = io.StringIO()
    plain = PlainProgress(stream)
    plain.item_started(ItemStart("phase", "fetch", 2, 0))
    clock.now += 1.0
    plain.unit_done(UnitReport(unit=7, error="ValueError: this row breaks the stage"))
    plain.item_ended(1.0)
    lines = stream.getvalue().splitlines()
    assert lines[1] == "  unit 7 is set aside: ValueError: this row breaks the stage"
    assert lines[2].endswith("kept 0, rejected 0, failed 0, set aside 1")


def test_nothing_is_written_when_no_item_has_begun():
    stream = io.StringIO()
    plain = PlainProgress(stream)
    plain.unit_done(REPORT)
    plain.item_ended(1.0)
    assert stream.getvalue() == ""


def test_bars_show_units_rows_and_losses_when_on_a_terminal():
    stream = io.StringIO()
    live = LiveProgress(Console(file=stream, force_terminal=True, width=160, color_system=None))
    live.item_started(ItemStart("phase", "fetch", 3, 1))
    live.unit_done(REPORT)
    live.unit_done(UnitReport(unit=7, error="[red] ValueError: not markup"))
    live.item_ended(2.5)
    live.item_started(ItemStart("decision", "select", 1, 1))
    live.item_ended(0.1)
    live.stop()
    shown = stream.getvalue()
    assert "unit 7 is set aside: [red] ValueError: not markup" in shown
    assert "phase fetch" in shown
    assert "3/3" in shown
    assert "kept 1,500, rejected 400, failed 100, set aside 1" in shown
    assert "nothing to do" in shown
