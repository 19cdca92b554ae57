"""Deadlines of requests: one look at all of them now and then, in place of several timers for each."""

from __future__ import annotations

import asyncio
from types import TracebackType

from schemas.outcomes import FailureReason

_TICK_S = 0.02
"""How late a deadline may be noticed."""
HELD_UP_S = 0.25
"""What comes later than this was held up by this process, and no host can help that."""


class DeadlineWatch:
    """Looks after the deadlines that are under way on one event loop.

    A timer costs an event loop about as much as reading a response's headers does, and a request has
    three of them. Nearly none is ever due.

    Time in which the loop did not run (a frozen, stopped or starved process) is nobody's: an answer that came
    meanwhile lies unread, and what a host waits for has not been sent. Deadlines are put off by it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._running: set[Deadline] = set()
        self._next_look: asyncio.TimerHandle | None = None
        self._planned = 0.0

    def start(self, seconds: float) -> Deadline:
        """A deadline that begins to run now, for `with`."""
        return Deadline(self, self._loop.time() + seconds)

    def now(self) -> float:
        """The loop's time."""
        return self._loop.time()

    def held_up_s(self) -> float:
        """By so much deadlines will be put off when they are looked at next."""
        return 0.0 if self._next_look is None else max(0.0, self._loop.time() - self._planned - HELD_UP_S)

    def add(self, deadline: Deadline) -> None:
        """Looks after it from now on."""
        self._running.add(deadline)
        if self._next_look is None:
            self._plan()

    def remove(self, deadline: Deadline) -> None:
        """Looks after it no more."""
        self._running.discard(deadline)

    def close(self) -> None:
        """Looks after none any more."""
        self._running.clear()
        if self._next_look is not None:
            self._next_look.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        late_s = self.held_up_s()
        if late_s > 0:
            for deadline in self._running:
                deadline.put_off(late_s)
        for deadline in [deadline for deadline in self._running if deadline.due <= now]:
            self._running.discard(deadline)
            deadline.expire()
        self._next_look = None
        if self._running:
            self._plan()

    def _plan(self) -> None:
        self._planned = self._loop.time() + _TICK_S
        self._next_look = self._loop.call_at(self._planned, self._look)


class Deadline:
    """When an attempt must be over, and the phase of it that is under way.

    `with` raises TimeoutError at whichever is due first, at an await within it.
    """

    __slots__ = ("_cancelling", "_end", "_expired", "_task", "_watch", "due", "phase")

    def __init__(self, watch: DeadlineWatch, end: float) -> None:
        self._watch = watch
        self._end = self.due = end
        self._expired = False
        self.phase: FailureReason | None = None

    def __enter__(self) -> Deadline:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._watch.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.remove(self)
        # As asyncio.Timeout does it: a cancellation from elsewhere is none of ours.
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def enter_phase(self, seconds: float, reason: FailureReason) -> None:
        """The phase that begins now may take so long, and this is why the attempt fails if it takes longer."""
        self.phase = reason
        self.due = min(self._watch.now() + seconds, self._end)

    def leave_phase(self) -> None:
        """From now on the end of the whole attempt counts alone."""
        self.due = self._end

    def put_off(self, seconds: float) -> None:
        """Everything may take so much longer."""
        self._end += seconds
        self.due += seconds

    @property
    def left_s(self) -> float:
        """What is left of the attempt's time; what it was put off by is left."""
        return self._end + self._watch.held_up_s() - self._watch.now()

    def expire(self) -> None:
        """Ends what the task is waiting for."""
        self._expired = True
        self._task.cancel()

    @property
    def ended_by(self) -> FailureReason:
        """Why the attempt fails if the deadline has ended it: for what the phase says, or for the time of all."""
        return self.phase if self.phase is not None and self.due < self._end else FailureReason.TOTAL_TIMEOUT
