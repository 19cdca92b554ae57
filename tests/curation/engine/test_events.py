"""Several listeners hear the same."""

from curation.engine.events import ItemStart, Listeners
from schemas.records import UnitReport


class Ear:
    def __init__(self):
        self.heard = []

    def item_started(self, start):
        self.heard.append(start)

    def unit_done(self, report):
        self.heard.append(report)

    def item_ended(self, seconds):
        self.heard.append(seconds)


def test_each_hears_everything_in_order_when_there_are_several():
    ears = [Ear(), Ear()]
    listeners = Listeners(*ears)
    events = [ItemStart("phase", "a", 1, 0), UnitReport(unit=0), 0.5]
    listeners.item_started(events[0])
    listeners.unit_done(events[1])
    listeners.item_ended(events[2])
    assert [ear.heard for ear in ears] == [events, events]
