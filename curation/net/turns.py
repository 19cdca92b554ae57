"""A worker's side of the limits: requests wait here for their turn at a host, in batches, and pass it on."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from math import inf
from types import TracebackType
from zlib import crc32

from curation.contracts.shared import SharedLink
from curation.net.ask_window import AskWindow
from curation.net.domains import registrable_domain
from curation.net.failures import FetchFailure
from curation.net.host_health import MOST_THROTTLED, SERVED_FOR_ONE
from curation.net.turn_desk import TurnDesk
from curation.net.turn_messages import SERVED, THROTTLED, UNREACHABLE, Closure, Grant, Report
from schemas.outcomes import FailureReason

_MAX_REMEMBERED = 100_000
_MAX_SERVED = 10_000
"""Of so many hosts at most it is known when they last answered as usual."""
_SHORTEST = 0.7
"""Share of the time that it may be kept after which a turn ends at the earliest."""
_ASKED_PER_S = 10.0
"""So many times its places a window passes in a second, however long an answer takes."""


class HostGivenUp(FetchFailure):
    """The host is left alone for a while, and no request was made. Trying again at once is in vain."""

    def __init__(self, closure: Closure) -> None:
        super().__init__(closure.reason, closure.detail, retry_after_s=inf)


class _Waiter:
    __slots__ = ("port", "turn", "window")

    def __init__(self, turn: asyncio.Future[float], window: AskWindow, port: int) -> None:
        self.turn = turn
        self.port = port
        self.window: AskWindow | None = window

    def leave_window(self) -> None:
        if self.window is not None:
            self.window.release()
            self.window = None


class _Queue:
    """Who waits for a turn at one host."""

    __slots__ = ("asked", "holding", "late_s", "rested", "resting", "unanswered", "waiters")

    def __init__(self) -> None:
        self.waiters: deque[_Waiter] = deque()
        self.unanswered: list[_Waiter] = []
        self.asked = 0
        self.holding = 0
        self.late_s = 0.0
        self.resting = False
        self.rested = 0

    def rest(self) -> None:
        """No turn that has been granted may be used for a further request."""
        self.resting = True
        self.rested += 1


class HostTurns:
    """Turns at hosts, asked of the coordinator that all workers share.

    Everything happens on one event loop. What goes wrong on the way to the coordinator is waited
    for: without it, nobody knows how often a host is asked.
    """

    def __init__(self, link: SharedLink, most_asked: int, most_used: int | None = None) -> None:
        """Takes the way to the coordinators and how many turns at one host it makes sense to ask for at once.

        Args:
            link: Leads to the coordinators.
            most_asked: Turns at one host that it makes sense to ask for at once.
            most_used: Turns at one host that can be used at once; None for any number.
        """
        self._most_asked = most_asked
        self._most_used = inf if most_used is None else most_used
        self._desks = [TurnDesk(link, copy, self) for copy in range(link.copies)]
        self._queues: dict[str, _Queue] = {}
        self._closed: dict[tuple[str, int], tuple[float, Closure]] = {}
        # Answers as usual since something else was told of the place, and how many of them are told.
        self._troubled: dict[tuple[str, int], tuple[int, int]] = {}
        self._served_at: dict[str, float] = {}
        self._windows: list[AskWindow] = []
        self._linger_s = 0.0

    def open_window(self, places: int) -> AskWindow:
        """A window for `turn`, which grows where the coordinator wants to be asked less often."""
        window = AskWindow(places)
        self._windows.append(window)
        return window

    def turn(self, host: str, window: AskWindow, interval_s: float = 0.0, port: int = 0) -> HostTurn:
        """A context that waits for a turn and gives it back.

        Args:
            host: In lower case.
            window: Bounds the requests that have asked and neither begun nor been told to wait, so that no turn is
                taken long before it can be used.
            interval_s: What the host's robots.txt asks for between two requests.
            port: Given up by itself where connections to it fail; limits are the host's.
        """
        return HostTurn(self, host, (window, interval_s, port))

    def report_throttled(
        self, host: str, pause_s: float, port: int = 0, *, cause: FailureReason | None = None, asked: bool = False
    ) -> None:
        """The host answered that it is asked too often.

        Args:
            host: In lower case.
            pause_s: For how long it is to be left alone.
            port: That answered.
            cause: How it said so: what becomes of URLs that are not asked for because of it.
            asked: The host itself said for how long.
        """
        self.rests(host)
        since_served_s = asyncio.get_running_loop().time() - self._served_at.get(host, -inf)
        self._report(Report(host, THROTTLED, pause_s, cause, port, asked, since_served_s=since_served_s))

    def report_unreachable(self, host: str, cause: FailureReason, port: int = 0) -> None:
        """No connection to the host came about."""
        self._report(Report(host, UNREACHABLE, cause=cause, port=port))

    def report_served(self, host: str, port: int = 0) -> None:
        """The host answered as usual. Tells the coordinator after something else was told, until it is made up for."""
        if len(self._served_at) >= _MAX_SERVED and host not in self._served_at:
            self._served_at.clear()
        self._served_at[host] = asyncio.get_running_loop().time()
        if (host, port) not in self._troubled:
            return
        served, told = self._troubled[host, port]
        served += 1
        if served == 1 or (served % SERVED_FOR_ONE == 0 and served <= SERVED_FOR_ONE * MOST_THROTTLED):
            self._desk(host).report(Report(host, SERVED, port=port, served=served - told - 1))
            told = served
        self._troubled[host, port] = served, told

    async def close(self) -> None:
        """Gives every turn back."""
        for desk in self._desks:
            await desk.close()

    def _report(self, report: Report) -> None:
        place = report.host, report.port
        served, told = self._troubled.pop(place, (0, 0))
        if len(self._troubled) >= _MAX_REMEMBERED:
            del self._troubled[next(iter(self._troubled))]
        self._troubled[place] = 0, 0
        self._desk(report.host).report(report._replace(served=served - told))

    def _desk(self, host: str) -> TurnDesk:
        if len(self._desks) == 1:
            return self._desks[0]
        return self._desks[crc32(registrable_domain(host).encode()) % len(self._desks)]

    async def _wait(self, host: str, window: AskWindow, interval_s: float, port: int) -> tuple[float, _Waiter]:
        """Returns until when further requests may follow in the turn that was got."""
        await window.acquire()
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop.create_future(), window, port)
        try:
            self._require_open((host, 0), loop.time())
            self._require_open((host, port), loop.time())
            self._enqueue(host, waiter, interval_s)
            return await waiter.turn, waiter
        except BaseException:
            waiter.leave_window()
            if waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
                self._end(host, waiter.turn.result())
            waiter.turn.cancel()
            self._drop_if_idle(host)
            raise

    def _require_open(self, place: tuple[str, int], now: float) -> None:
        until, closure = self._closed.get(place, (0.0, None))
        if closure is None:
            return
        if now < until:
            raise HostGivenUp(closure)
        del self._closed[place]

    def _enqueue(self, host: str, waiter: _Waiter, interval_s: float) -> None:
        queue = self._queues.get(host)
        if queue is None:
            queue = self._queues[host] = _Queue()
        queue.waiters.append(waiter)
        if interval_s:
            self._desk(host).set_interval(host, interval_s)
        if queue.asked < self._askable(queue):
            queue.unanswered.append(waiter)
            self._want(host, queue)
        else:
            waiter.leave_window()

    def _askable(self, queue: _Queue) -> int:
        """Turns that may be asked for at a time: what is in hand is passed on, and more could not be used."""
        return int(min(self._most_asked, max(0, self._most_used - queue.holding)))

    def _want(self, host: str, queue: _Queue) -> None:
        missing = min(len(queue.waiters), self._askable(queue)) - queue.asked
        if missing > 0:
            queue.asked += missing
            self._desk(host).want(host, missing)

    def _end(self, host: str, until: float) -> None:
        """A request is over: its turn goes to the next one here, or back."""
        queue = self._queues[host]
        desk = self._desk(host)
        now = asyncio.get_running_loop().time()
        if now < min(until, desk.valid_until) and not queue.resting and _pass_on(queue, until):
            return
        queue.holding -= 1
        desk.give_back(host)
        self._want(host, queue)
        self._drop_if_idle(host)

    def _drop_if_idle(self, host: str) -> None:
        queue = self._queues.get(host)
        if queue is None:
            return
        while queue.waiters and queue.waiters[0].turn.done():
            queue.waiters.popleft()
        if not (queue.waiters or queue.holding or queue.asked):
            del self._queues[host]

    # What the desk calls when the coordinator has answered.

    def granted(self, grant: Grant) -> None:
        """A turn has come."""
        queue = self._queues.get(grant.host)
        if queue is None:
            queue = self._queues[grant.host] = _Queue()
        queue.asked = max(0, queue.asked - 1)
        queue.holding += 1
        loop = asyncio.get_running_loop()
        queue.resting = False
        queue.late_s = grant.late_s
        if grant.wait_s > 0:
            loop.call_later(grant.wait_s, self._deliver, grant.host, grant.keep_s, queue.rested)
        else:
            self._deliver(grant.host, grant.keep_s, queue.rested)

    def _deliver(self, host: str, keep_s: float, rested: int) -> None:
        queue = self._queues[host]
        # Turns that came together must not end together, or all of a worker's requests would wait for the next answer.
        keep_s *= random.uniform(_SHORTEST, 1.0)
        if queue.rested == rested and _pass_on(queue, asyncio.get_running_loop().time() + keep_s):
            self._want(host, queue)
        else:
            self._end(host, 0.0)

    def told_to_wait(self, host: str) -> None:
        """The coordinator has answered: whoever got no turn waits outside the window."""
        queue = self._queues.get(host)
        if queue is not None:
            for waiter in queue.unanswered:
                if not waiter.turn.done():
                    waiter.leave_window()
            queue.unanswered.clear()

    def closed(self, closure: Closure) -> int:
        """A host is given up: who waits for it fails."""
        if len(self._closed) >= _MAX_REMEMBERED:
            self._closed.clear()
        until = asyncio.get_running_loop().time() + closure.seconds
        self._closed[closure.host, closure.port] = until, closure
        queue = self._queues.get(closure.host)
        if queue is None:
            return 0
        for waiter in queue.waiters:
            if not waiter.turn.done() and closure.port in (0, waiter.port):
                waiter.turn.set_exception(HostGivenUp(closure))
        if closure.port:
            # Whoever goes to other ports of the host waits on.
            return 0
        asked, queue.asked = queue.asked, 0
        queue.rest()
        queue.waiters.clear()
        queue.unanswered.clear()
        self._drop_if_idle(closure.host)
        return asked

    def heard(self, linger_s: float) -> None:
        """An answer may take so long: meanwhile others ask."""
        if linger_s != self._linger_s:
            self._linger_s = linger_s
            for window in self._windows:
                window.stretch(1.0 + _ASKED_PER_S * linger_s)

    def rests(self, host: str) -> None:
        """No turn in hand at the host may be used again."""
        queue = self._queues.get(host)
        if queue is not None:
            queue.rest()

    def ask_again(self, desk: TurnDesk) -> None:
        """The coordinator has forgotten this worker: every wish is told again."""
        for host, queue in list(self._queues.items()):
            if self._desk(host) is desk:
                queue.asked = 0
                self._want(host, queue)
                self._drop_if_idle(host)


class HostTurn:
    """One turn at a host, as a context. `begin` says that the request begins."""

    __slots__ = ("_arguments", "_host", "_rested", "_turns", "_until", "_waiter")

    def __init__(self, turns: HostTurns, host: str, arguments: tuple[AskWindow, float, int]) -> None:
        self._turns = turns
        self._host = host
        self._arguments = arguments
        self._until = 0.0
        self._rested = 0
        self._waiter: _Waiter | None = None

    async def __aenter__(self) -> HostTurn:
        """Waits for the turn. Raises FetchFailure if the host is given up."""
        self._until, self._waiter = await self._turns._wait(self._host, *self._arguments)
        self._rested = self._turns._queues[self._host].rested
        return self

    async def acquire_in_time(self, gate: asyncio.Semaphore) -> bool:
        """Takes a place behind a gate, unless the turn is no longer good by then: False, and none is taken."""
        queue, clock = self._turns._queues[self._host], asyncio.get_running_loop().time
        latest = self._until + queue.late_s
        if not gate.locked():
            # Taken at once: nearly always, so that a timeout would cost a request more than it is worth.
            await gate.acquire()
        else:
            try:
                async with asyncio.timeout_at(latest):
                    await gate.acquire()
            except TimeoutError:
                return False
        if clock() <= latest and queue.rested == self._rested:
            return True
        gate.release()
        return False

    def begin(self) -> None:
        """The request has all that it needs: another one may ask for its turn."""
        if self._waiter is not None:
            self._waiter.leave_window()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Passes the turn on, or gives it back."""
        self.begin()
        self._turns._end(self._host, self._until)


def _pass_on(queue: _Queue, until: float) -> bool:
    """Gives a turn to whoever waits first; False if nobody does."""
    while queue.waiters:
        waiter = queue.waiters.popleft()
        if not waiter.turn.done():
            waiter.turn.set_result(until)
            return True
    return False
