"""Leads units through pools of workers: each to a worker with room, then on to the next pool, until all are done."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    ObjectStoreFullError,
    OutOfDiskError,
    OutOfMemoryError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)

from curation.errors import CorruptionError, CurationError
from curation.masking import mask
from curation.plan.queue_depth import most_between
from curation.runtime.ray_pool import Answer, Pool, Unit
from curation.runtime.ray_staffing import Staffing
from curation.runtime.tries import Tries
from schemas.records import UnitReport

_LOOK_S = 1.0
"""How often the pools are looked at, whatever is answered."""
_DEATHS = (RayActorError, NodeDiedError, WorkerCrashedError, OutOfMemoryError)
_NO_ROOM = (ObjectStoreFullError, OutOfDiskError)
_NEWEST = 0.1
"""Share of the latest payload in the mean of what payloads weigh."""


class Pipeline:
    """Units on their way through pools.

    A unit stays where it is when its worker dies, and starts again when what was handed over is lost. One that fails is
    tried again when all others are done: what was wrong may be over by then.

    Args:
        answers: Where the pools put what their workers say.
        max_tries: Of setting up a worker.
        room_bytes: What payloads may take up before no further unit is begun.
    """

    def __init__(
        self,
        pools: Sequence[Pool],
        staffing: Staffing,
        answers: SimpleQueue[Answer],
        tries: Tries,
        max_tries: int,
        room_bytes: float,
    ) -> None:
        self._pools = pools
        self._staffing = staffing
        self._answers = answers
        self._tries = tries
        self._max_tries = max_tries
        self._room_bytes = room_bytes
        self._waiting: list[deque[Unit]] = [deque() for _ in pools]
        self._failed: list[Unit] = []
        self._open = 0
        self._held_bytes = 0
        self._mean_bytes = 0.0
        self._on_report: Callable[[UnitReport], None] = lambda report: None

    def run(self, units: Sequence[int], on_report: Callable[[UnitReport], None]) -> None:
        """Calls `on_report` once for each unit.

        Raises:
            CorruptionError: What a unit found.
            CurationError: Workers cannot be set up.
            RayError: Ray is at its end.
        """
        self._on_report = on_report
        self._waiting[0].extend(Unit(number) for number in units)
        self._open = len(units)
        looked = -_LOOK_S
        while self._open:
            self._give_out()
            if time.monotonic() - looked >= _LOOK_S:
                self._staffing.look(self._is_short)
                looked = time.monotonic()
            try:
                self._hear(self._answers.get(timeout=_LOOK_S))
            except Empty:
                continue

    def _give_out(self) -> None:
        """Puts what waits before workers; the last pool first, which makes room for those before it."""
        if len(self._failed) == self._open:
            self._waiting[0].extend(sorted(self._failed, key=lambda unit: unit.number))
            self._failed.clear()
        for place in range(len(self._pools) - 1, -1, -1):
            pool, waiting = self._pools[place], self._waiting[place]
            depth = self._depth(place)
            while waiting and self._may_begin(place) and (hand := pool.idlest(depth)) is not None:
                pool.give(hand, waiting.popleft())

    def _depth(self, place: int) -> int:
        """Units before each worker of a pool: fewer towards the end, when what one has waiting others could do."""
        ahead = sum(len(self._waiting[before]) + self._pools[before].in_work for before in range(place))
        left = ahead + len(self._waiting[place])
        return max(1, min(self._pools[place].depth, left // max(1, len(self._pools[place].hands))))

    def _may_begin(self, place: int) -> bool:
        """Whether the pool behind can take one unit more, and Ray's object store what there is to be handed over."""
        if place == len(self._pools) - 1:
            return True
        pool, behind = self._pools[place], self._pools[place + 1]
        between = len(self._waiting[place + 1]) + behind.in_work + pool.in_work
        if between >= most_between(behind.depth, max(1, len(behind.hands))) + len(pool.hands):
            return False
        coming_bytes = self._mean_bytes * (pool.in_work + 1)
        return place > 0 or not between or self._held_bytes + coming_bytes <= self._room_bytes

    def _is_short(self, place: int) -> bool:
        """Whether one worker more in a pool would have something to do."""
        waiting = self._waiting[place]
        return bool(waiting) and self._may_begin(place) and self._pools[place].idlest(self._depth(place)) is None

    def _hear(self, answer: Answer) -> None:
        answer.pool.answered(answer)
        if answer.unit is None:
            self._set_up(answer)
        elif answer.note is None:
            self._not_done(answer, answer.unit)
        elif answer.note.report is not None:
            self._reported(answer.unit, UnitReport.model_validate_json(answer.note.report))
        else:
            self._mean_bytes += _NEWEST * (answer.note.payload_bytes - self._mean_bytes)
            self._moved(answer.unit, answer.unit.place + 1, answer.payload, answer.note.payload_bytes)
            self._waiting[answer.unit.place].append(answer.unit)

    def _set_up(self, answer: Answer) -> None:
        error, pool, hand = answer.error, answer.pool, answer.hand
        if error is None or hand.gone:
            return
        if not isinstance(error, _DEATHS):
            raise error
        if hand.lost_setups + 1 >= self._max_tries:
            name, died = pool.operator.name, hand.lost_setups + 1
            raise CurationError(f"{name}: {died} workers in a row died while they were set up: {_told(error)}")
        pool.drop(hand)
        pool.start(hand.lost_setups + 1)

    def _not_done(self, answer: Answer, unit: Unit) -> None:
        """What Ray answers where the worker could not."""
        error = answer.error
        cause = error.cause if isinstance(error, RayTaskError) else error
        if isinstance(cause, _DEATHS):
            if answer.hand.let_go:
                self._tries.forgive(unit.number, [unit.place])
            answer.pool.drop(answer.hand)
            self._staffing.replace(answer.pool)
            self._waiting[unit.place].appendleft(unit)
        elif isinstance(cause, ObjectLostError):
            # What was made of it is gone with its node, which no operator is to blame for.
            self._tries.forgive(unit.number, range(unit.place + 1))
            self._moved(unit, 0)
            self._waiting[0].append(unit)
        elif isinstance(cause, _NO_ROOM):
            self._reported(unit, UnitReport(unit=unit.number, error=f"{answer.pool.operator.name}: {_told(cause)}"))
        else:
            raise error if error is not None else AssertionError("no answer and no error")

    def _reported(self, unit: Unit, report: UnitReport) -> None:
        if report.fatal:
            raise CorruptionError(report.error or "")
        self._moved(unit, 0)
        if report.error is not None and not self._tries.exhausted(unit.number, len(self._pools)):
            self._failed.append(unit)
            return
        self._open -= 1
        self._tries.done(unit.number)
        self._on_report(report)

    def _moved(self, unit: Unit, place: int, payload: object = None, payload_bytes: int = 0) -> None:
        self._held_bytes += payload_bytes - unit.payload_bytes
        unit.place, unit.payload, unit.payload_bytes = place, payload, payload_bytes


def _told(error: BaseException) -> str:
    """The first line of what Ray says: further ones are about Ray."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return mask(lines[0]) if lines else type(error).__name__
