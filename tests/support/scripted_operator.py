"""An operator that does as it is told."""

from curation.engine.operator import Handover, Operator
from schemas.records import UnitReport


class Scripted(Operator):
    """Does in turn what it is told: raises an error or reports."""

    name = "scripted"

    def __init__(self, *turns):
        self.turns = list(turns)
        self.calls = []

    def setup(self):
        self.calls.append("setup")

    def close(self):
        self.calls.append("close")

    def run(self, unit, table):
        self.calls.append(unit)
        turn = self.turns.pop(0)
        if isinstance(turn, BaseException):
            raise turn
        return turn


DONE = Handover(report=UnitReport(unit=0, kept=1))
