"""Deadlines of requests: one look at all of them now and then, in place of several timers for each."""

from __future__ import annotations

import asyncio
from types import TracebackType

_TICK_S = 0.02
"""How late a deadline may be noticed."""


class DeadlineWatch:
    """Looks after the deadlines that are under way on one event loop.

    A timer costs an event loop about as much as reading a response's headers does, and a request has
    three of them. Nearly none is ever due.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._running: set[Deadline] = set()
        self._next_look: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> Deadline:
        """A deadline that begins to run now, for `with`."""
        return Deadline(self, self._loop.time() + seconds)

    def now(self) -> float:
        """The loop's time."""
        return self._loop.time()

    def add(self, deadline: Deadline) -> None:
        """Looks after it from now on."""
        self._running.add(deadline)
        if self._next_look is None:
            self._next_look = self._loop.call_later(_TICK_S, self._look)

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
        for deadline in [deadline for deadline in self._running if deadline.due <= now]:
            self._running.discard(deadline)
            deadline.expire()
        self._next_look = self._loop.call_later(_TICK_S, self._look) if self._running else None


class Deadline:
    """When an attempt must be over, and the phase of it that is under way.

    `with` raises TimeoutError at whichever is due first, at an await within it.
    """

    __slots__ = ("_cancelling", "_end", "_expired", "_task", "_watch", "due")

    def __init__(self, watch: DeadlineWatch, end: float) -> None:
        self._watch = watch
        self._end = self.due = end
        self._expired = False

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

    def enter_phase(self, seconds: float) -> None:
        """The phase that begins now may take so long."""
        self.due = min(self._watch.now() + seconds, self._end)

    def leave_phase(self) -> None:
        """From now on the end of the whole attempt counts alone."""
        self.due = self._end

    def expire(self) -> None:
        """Ends what the task is waiting for."""
        self._expired = True
        self._task.cancel()

    @property
    def phase_ended_it(self) -> bool:
        """Whether it was the phase that took too long, not the attempt."""
        return self.due < self._end
