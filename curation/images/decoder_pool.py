"""Decodes in processes of their own: a file that kills its decoder costs one row, and nothing of its neighbours."""

from __future__ import annotations

import logging
import select
import time
from collections import deque
from collections.abc import Sequence

from curation.errors import TransientError
from curation.images.decoder_process import DecoderProcess, DecoderSettings
from curation.images.delivery import Delivery, Refusal
from schemas.outcomes import FailureReason, Outcome

logger = logging.getLogger(__name__)

_MAX_DEATHS = 2
_MAX_IDLE_DEATHS = 5
_MAX_AHEAD = 32
"""Most bodies that a process is given before it asks for the next: what it has been given, others cannot take."""


class _Work:
    """The bodies of one call: which wait, which of them were in hand at a death, and what became of them."""

    def __init__(self, bodies: Sequence[memoryview]) -> None:
        self.bodies = bodies
        self.waiting = deque(range(len(bodies)))
        self.deaths = [0] * len(bodies)
        self.idle_deaths = 0
        self.done: list[Delivery | None] = [None] * len(bodies)
        self.missing = len(bodies)

    def finish(self, index: int, delivery: Delivery) -> None:
        """Notes what became of a body."""
        if delivery.kept:
            delivery.image = bytes(self.bodies[index])
        self.done[index] = delivery
        self.missing -= 1


class DecoderPool:
    """Decoding processes, each with a file in hand at a time.

    A process that dies has one file in hand. That file is the first that a fresh process gets: if it dies
    again, the file is to blame. A death that was not the file's doing (the kernel was out of memory, an
    earlier file had left something broken) costs no row.

    Attributes:
        restarts: How many processes have been replaced.
    """

    def __init__(self, settings: DecoderSettings, processes: int) -> None:
        self._settings = settings
        self._ahead = max(2, _MAX_AHEAD // processes)
        self._count = processes
        self._processes: list[DecoderProcess] = []
        self.restarts = 0

    @property
    def pids(self) -> list[int]:
        """Of the processes."""
        return [process.pid for process in self._processes]

    def start(self) -> None:
        """Starts the processes that do not run, and does not wait until they are ready."""
        while len(self._processes) < self._count:
            self._processes.append(DecoderProcess(self._settings))

    def decode(self, bodies: Sequence[memoryview]) -> list[Delivery]:
        """What became of each body, in their order.

        Raises:
            TransientError: The decoding processes do not start.
        """
        work = _Work(bodies)
        try:
            self.start()
            while work.missing:
                self._feed(work)
                self._wait()
                for place, process in enumerate(self._processes):
                    self._take(place, process, work)
        except BaseException:
            # What they were given must not be taken for the next call's.
            self.close()
            raise
        return [delivery for delivery in work.done if delivery is not None]

    def close(self) -> None:
        """Ends the processes."""
        while self._processes:
            self._processes.pop().close()

    def _feed(self, work: _Work) -> None:
        for depth in range(self._ahead):
            for process in self._processes:
                if work.waiting and len(process.given) <= depth:
                    index = work.waiting[0]
                    if process.give(index, work.bodies[index]):
                        work.waiting.popleft()
        for process in self._processes:
            process.send()

    def _wait(self) -> None:
        """Sleeps until a process has something to say or is over its time."""
        events, deadlines = select.poll(), []
        for process in self._processes:
            events.register(process.results_fd, select.POLLIN)
            deadlines.append(process.deadline)
        nearest = min((deadline for deadline in deadlines if deadline is not None), default=None)
        events.poll(None if nearest is None else max(0.0, nearest - time.monotonic()) * 1000 + 1)

    def _take(self, place: int, process: DecoderProcess, work: _Work) -> None:
        for arrived in process.receive():
            if arrived is None:
                self._replace(place, process, work, overdue=False)
                return
            index, result = arrived
            work.finish(index, result.delivery)
        if process.deadline is not None and time.monotonic() > process.deadline:
            self._replace(place, process, work, overdue=True)

    def _replace(self, place: int, process: DecoderProcess, work: _Work, *, overdue: bool) -> None:
        cause = process.bury(overdue=overdue)
        work.idle_deaths += process.idle
        if work.idle_deaths > _MAX_IDLE_DEATHS:
            raise TransientError(f"decoding processes end before they begin a file: {cause}")
        self._processes[place] = fresh = DecoderProcess(self._settings)
        self.restarts += 1
        given = process.given
        if process.place_in_hand is not None:
            suspect = given[process.place_in_hand]
            del given[process.place_in_hand]
            work.deaths[suspect] += 1
            if work.deaths[suspect] < _MAX_DEATHS:
                fresh.give(suspect, work.bodies[suspect])
            else:
                logger.warning("a file of %d bytes ended its decoder: %s", len(work.bodies[suspect]), cause)
                refusal = Refusal(Outcome.FAILED, FailureReason.DECODER_CRASH, cause)
                work.finish(suspect, Delivery(refusal=refusal))
        work.waiting.extendleft(reversed(given))
