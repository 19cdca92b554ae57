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
    RayError,
    RayTaskError,
    WorkerCrashedError,
)

from curation.engine.meters import UNITS_QUEUED, Meter, NoMeter
from curation.errors import CurationError, first_line
from curation.masking import mask
from curation.plan.queue_depth import most_between
from curation.runtime.attempts import fatal_error
from curation.runtime.notice_to_end import Notice, notice_to_end
from curation.runtime.on_ray.pool import Answer, Pool, Unit
from curation.runtime.on_ray.staffing import Staffing
from curation.runtime.on_ray.start import head_is_gone
from curation.runtime.on_ray.worker import Note
from schemas.records import UnitReport

_LOOK_S = 1.0
"""How often the pools are looked at, whatever is answered."""
_DEATHS = (RayActorError, NodeDiedError, WorkerCrashedError, OutOfMemoryError)
_NO_ROOM = (ObjectStoreFullError, OutOfDiskError)
_MOST_LOSSES = 10
"""Of what was handed over, until a unit is given up: nodes that cannot reach each other lose all of it."""
MOST_CRASHED = 100
"""Units that are set aside because they kill their workers, before any is done, until the run is given up."""
_NEWEST = 0.1
"""Share of the latest payload in the mean of what payloads weigh."""


class Pipeline:
    """Units on their way through pools.

    A unit stays where it is when its worker dies, and starts again when what was handed over is lost. One that fails is
    tried again when all others are done: what was wrong may be over by then.

    Args:
        answers: Where the pools put what their workers say.
        max_tries: Of a unit.
        room_bytes: What payloads may take up before no further unit is begun.
        grace_s: How long after a SIGTERM units on their way may take to be done.
        meter: Is told how many units wait in front of each pool.
    """

    def __init__(
        self,
        pools: Sequence[Pool],
        staffing: Staffing,
        answers: SimpleQueue[Answer],
        max_tries: int,
        room_bytes: float,
        *,
        grace_s: float = 0.0,
        meter: Meter | None = None,
    ) -> None:
        self._pools = pools
        self._staffing = staffing
        self._answers = answers
        self._max_tries = max_tries
        self._room_bytes = room_bytes
        self._grace_s = grace_s
        self._meter = meter or NoMeter()
        self._waiting: list[deque[Unit]] = [deque() for _ in pools]
        self._failed: list[Unit] = []
        self._open = 0
        self._held_bytes = 0
        self._mean_bytes = [0.0] * len(pools)
        self._on_report: Callable[[UnitReport], None] = lambda report: None
        self._notice = Notice()

    def run(self, units: Sequence[int], on_report: Callable[[UnitReport], None]) -> None:
        """Calls `on_report` once for each unit.

        Raises:
            CorruptionError: What a unit found.
            AccessError: A store does not let a worker in.
            CurationError: Workers cannot be set up, or die again and again.
            RayError: Ray is at its end.
            KeyboardInterrupt: SIGTERM, when the units on their way are done.
        """
        self._on_report = on_report
        self._waiting[0].extend(Unit(number) for number in units)
        self._open = len(units)
        with notice_to_end(self._grace_s) as self._notice:
            try:
                self._lead()
            except RayError:
                # Whoever ends this process may have ended Ray's as well.
                if not self._notice.given:
                    raise
            finally:
                for pool in self._pools:
                    self._meter.set(UNITS_QUEUED, 0, operator=pool.operator.name)

    def _lead(self) -> None:
        looked = -_LOOK_S
        while self._open:
            if self._notice.given:
                self._leave_rest()
                if not any(self._waiting) and not any(pool.is_busy for pool in self._pools):
                    return
            # What is planned comes before units are given out: workers beyond it get none.
            if time.monotonic() - looked >= _LOOK_S:
                if not self._notice.given:
                    self._staffing.look(self._is_short)
                elif head_is_gone():
                    # Whoever ends this process may be ending all of Ray, which then answers for no worker.
                    return
                self._count_queues()
                looked = time.monotonic()
            self._give_out()
            try:
                self._hear(self._answers.get(timeout=_LOOK_S))
            except Empty:
                continue

    def _count_queues(self) -> None:
        for pool, waiting in zip(self._pools, self._waiting, strict=True):
            self._meter.set(UNITS_QUEUED, len(waiting) + pool.queued, operator=pool.operator.name)

    def _leave_rest(self) -> None:
        """Begins no unit, and none anew, and gives up what would need a worker where there is none left."""
        self._waiting[0].clear()
        self._failed.clear()
        for pool, waiting in zip(self._pools, self._waiting, strict=True):
            if not pool.hands:
                waiting.clear()

    def _give_out(self) -> None:
        """Puts what waits before workers; the last pool first, which makes room for those before it."""
        if len(self._failed) == self._open:
            self._waiting[0].extend(sorted(self._failed, key=lambda unit: unit.number))
            self._failed.clear()
        for place in range(len(self._pools) - 1, -1, -1):
            pool, waiting = self._pools[place], self._waiting[place]
            depth = self._depth(place)
            while waiting and self._may_begin(place):
                hand = pool.idlest(1 if waiting[0].alone else depth)
                if hand is None:
                    break
                pool.give(hand, waiting.popleft())

    def _depth(self, place: int) -> int:
        """Units before each worker of a pool: fewer towards the end, when what one has waiting others could do."""
        ahead = sum(len(self._waiting[before]) + self._pools[before].in_work for before in range(place))
        left = ahead + len(self._waiting[place])
        return max(1, min(self._pools[place].depth, left // self._pools[place].size))

    def _may_begin(self, place: int) -> bool:
        """Whether the pool behind can take one unit more, and Ray's object store what there is to be handed over."""
        if place == len(self._pools) - 1:
            return True
        pool, behind = self._pools[place], self._pools[place + 1]
        between = len(self._waiting[place + 1]) + behind.in_work + pool.in_work
        if between >= most_between(behind.depth, behind.size) + pool.size:
            return False
        coming_bytes = sum(mean * pool.in_work for mean, pool in zip(self._mean_bytes, self._pools, strict=True))
        next_bytes = coming_bytes + self._mean_bytes[0]
        return place > 0 or not between or self._held_bytes + next_bytes <= self._room_bytes

    def _is_short(self, place: int) -> bool:
        """Whether one worker more in a pool would have something to do, and the pool behind wait for what it does."""
        pool = self._pools[place]
        # A worker that has just been given something new for the one that it answered has room for none, or for one.
        full = pool.idlest(max(1, self._depth(place) - 1)) is None
        hungry = place == len(self._pools) - 1 or not self._waiting[place + 1]
        return bool(self._waiting[place]) and full and hungry and pool.done >= len(pool.hands)

    def _hear(self, answer: Answer) -> None:
        if answer.unit is None:
            answer.pool.answered(answer)
            self._set_up(answer)
        elif answer.note is None:
            # Before the unit is taken from its worker: what that had before it when it died tells who is to blame.
            self._not_done(answer, answer.unit)
            answer.pool.answered(answer)
        else:
            answer.pool.answered(answer)
            self._done(answer.unit, answer.note, answer.payload)

    def _done(self, unit: Unit, note: Note, payload: object) -> None:
        if note.report is not None:
            self._reported(unit, UnitReport.model_validate_json(note.report))
            return
        self._mean_bytes[unit.place] += _NEWEST * (note.payload_bytes - self._mean_bytes[unit.place])
        unit.alone = False
        self._moved(unit, unit.place + 1, payload, note.payload_bytes)
        self._waiting[unit.place].append(unit)

    def _set_up(self, answer: Answer) -> None:
        error = answer.error
        if error is None or answer.hand.gone:
            return
        if isinstance(error, RayTaskError) or not isinstance(error, _DEATHS):
            raise error
        self._died(answer, error)

    def _not_done(self, answer: Answer, unit: Unit) -> None:
        """What Ray answers where the worker could not."""
        error, pool = answer.error, answer.pool
        cause = error.cause if isinstance(error, RayTaskError) else error
        if isinstance(cause, _DEATHS):
            self._died(answer, cause)
            # Whoever ends this process may have ended its worker: no unit is to blame then.
            if self._notice.given or unit.tries < self._max_tries:
                self._waiting[unit.place].appendleft(unit)
            else:
                self._crashed(unit, pool)
        elif isinstance(cause, ObjectLostError) and unit.losses < _MOST_LOSSES:
            # What was made of it is gone with its node, for which no operator is to blame.
            unit.losses += 1
            self._moved(unit, 0)
            self._waiting[0].append(unit)
        elif isinstance(cause, (*_NO_ROOM, ObjectLostError)):
            self._reported(unit, UnitReport(unit=unit.number, error=f"{pool.operator.name}: {mask(first_line(cause))}"))
        else:
            raise error if error is not None else AssertionError("no answer and no error")

    def _died(self, answer: Answer, cause: BaseException) -> None:
        # Where all of Ray is being ended, it would not come back from being asked for another.
        if answer.pool.died(answer.hand) and not self._notice.given:
            self._staffing.lost(answer.pool, mask(first_line(cause)))

    def _crashed(self, unit: Unit, pool: Pool) -> None:
        """Sets a unit aside. Where all do that, it is the workers with which something is wrong."""
        said = f"{pool.operator.name} crashed its worker at every try"
        pool.crashed += 1
        if not pool.done and pool.crashed >= MOST_CRASHED:
            raise CurationError(f"{said}, for each of {pool.crashed} units, and no unit was done")
        self._ended(unit, UnitReport(unit=unit.number, error=said))

    def _reported(self, unit: Unit, report: UnitReport) -> None:
        if report.fatal:
            raise fatal_error(report)
        unit.tries += report.error is not None
        if report.error is None or unit.tries >= self._max_tries:
            self._ended(unit, report)
        else:
            self._moved(unit, 0)
            self._failed.append(unit)

    def _ended(self, unit: Unit, report: UnitReport) -> None:
        self._moved(unit, 0)
        self._open -= 1
        self._on_report(report)

    def _moved(self, unit: Unit, place: int, payload: object = None, payload_bytes: int = 0) -> None:
        self._held_bytes += payload_bytes - unit.payload_bytes
        unit.place, unit.payload, unit.payload_bytes = place, payload, payload_bytes
