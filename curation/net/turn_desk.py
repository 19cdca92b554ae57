"""Speaks with one coordinator for a whole worker: one message for all that came up in a few milliseconds."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Coroutine
from math import inf
from typing import Any, Protocol

from curation.contracts.shared import SharedLink
from curation.net.turn_messages import Answer, Ask, Closure, Grant, Poll, Report

logger = logging.getLogger(__name__)

_FIRST_LINGER_S = 0.005
_RETRY_S = 0.2
_GOODBYE_S = 1.0


class TurnTaker(Protocol):
    """Who is told what the coordinator answers."""

    def granted(self, grant: Grant) -> None:
        """A turn has come."""

    def told_to_wait(self, host: str) -> None:
        """A question about the host was answered, and whatever turns there are have come."""

    def closed(self, closure: Closure) -> int:
        """A host is given up, and every wish for it is forgotten: so many turns are no longer waited for."""
        ...

    def heard(self, linger_s: float) -> None:
        """Questions are asked so far apart from now on."""

    def rests(self, host: str) -> None:
        """No turn in hand at the host may be used again."""

    def ask_again(self, desk: TurnDesk) -> None:
        """Every wish was forgotten."""


class TurnDesk:
    """Collects what is to be told, tells it, and keeps a question open while turns are waited for."""

    def __init__(self, link: SharedLink, copy: int, taker: TurnTaker) -> None:
        self._link = link
        self._copy = copy
        self._taker = taker
        self._worker = uuid.uuid4().hex
        self._loop = asyncio.get_running_loop()
        self._outbox = Ask(self._worker, fresh=True)
        self._held: dict[str, int] = {}
        self._waiting_for = 0
        self._linger_s = _FIRST_LINGER_S
        self._told_at = 0.0
        self._asked_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf
        self._telling = False
        self._polling = False
        self._round = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self.valid_until = 0.0

    def want(self, host: str, turns: int) -> None:
        """Asks for turns."""
        self._outbox.wanted[host] = self._outbox.wanted.get(host, 0) + turns
        self._tell_soon()

    def give_back(self, host: str) -> None:
        """Gives a turn back."""
        left = self._held.get(host, 0) - 1
        if left > 0:
            self._held[host] = left
        else:
            self._held.pop(host, None)
        self._outbox.returned[host] = self._outbox.returned.get(host, 0) + 1
        self._tell_soon()

    def set_interval(self, host: str, interval_s: float) -> None:
        """Says what the host's robots.txt asks for; goes with the next question about the host."""
        self._outbox.intervals[host] = interval_s

    def report(self, report: Report) -> None:
        """Says how a host behaved."""
        self._outbox.reports.append(report)
        self._tell_soon()

    async def close(self) -> None:
        """Says goodbye: every turn goes back."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        if self.valid_until:
            try:
                async with asyncio.timeout(_GOODBYE_S):
                    await self._link.ask(self._copy, Ask(self._worker, fresh=True))
            except Exception as error:  # noqa: BLE001 - a worker's boundary: it ends whether anybody hears of it or not
                logger.debug("the coordinator could not be told that a worker has ended: %r", error)

    def _tell_soon(self) -> None:
        """Keeps the distance; a wish from the last wish alone, so that a part begins as soon as another ends."""
        if not self._telling:
            before = self._asked_at if self._outbox.wanted else self._told_at
            self._tell_at(max(self._loop.time(), before + self._linger_s))

    def _tell_at(self, due: float) -> None:
        if self._closing or due >= self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_at(due, self._tell)

    def _tell(self) -> None:
        self._timer, self._due = None, inf
        self._telling = True
        ask, self._outbox = self._outbox, Ask(self._worker)
        if ask.fresh:
            # All that was given back since counts as never held.
            ask.held, ask.returned = dict(self._held), {}
        self._waiting_for += sum(ask.wanted.values())
        self._told_at = self._loop.time()
        if ask.wanted:
            self._asked_at = self._told_at
        self._start(self._told(ask))

    async def _told(self, ask: Ask) -> None:
        try:
            answered = await self._exchange(ask)
        finally:
            self._telling = False
        if not answered:
            return
        for host in ask.wanted:
            self._taker.told_to_wait(host)
        if self._outbox.wanted or self._outbox.returned or self._outbox.reports:
            self._tell_soon()
        elif self._held:
            # A sign of life, early enough: what is in hand must not run out while it is used.
            now = self._loop.time()
            self._tell_at(now + (self.valid_until - now) / 3)
        if self._waiting_for and not self._polling:
            self._polling = True
            self._start(self._poll())

    async def _poll(self) -> None:
        try:
            while self._waiting_for and await self._exchange(Poll(self._worker)):
                pass
        finally:
            self._polling = False

    async def _exchange(self, question: Ask | Poll) -> bool:
        """Asks and passes the answer on; False if everything has to be told again."""
        round_, sent_at = self._round, self._loop.time()
        try:
            answer: Answer = await self._link.ask(self._copy, question)
        except ConnectionError as error:
            logger.debug("the coordinator of turns cannot be reached: %s", error)
            self._start_again(round_, _RETRY_S)
            return False
        except Exception as error:  # noqa: BLE001 - a worker's boundary: whoever stops asking here never fetches again
            logger.warning("the coordinator of turns cannot be asked: %s: %s", type(error).__name__, error)
            self._start_again(round_, _RETRY_S)
            return False
        if not answer.known:
            self._start_again(round_, 0.0)
            return False
        # What was granted before everything was told again is granted to nobody.
        if round_ == self._round:
            self.valid_until = max(self.valid_until, sent_at + answer.valid_s)
            self._linger_s = answer.linger_s
            self._taker.heard(answer.linger_s)
            self._apply(answer)
        return True

    def _apply(self, answer: Answer) -> None:
        for host in answer.resting:
            self._taker.rests(host)
        for closure in answer.closures:
            self._waiting_for = max(0, self._waiting_for - self._taker.closed(closure))
        for grant in answer.grants:
            self._waiting_for = max(0, self._waiting_for - 1)
            self._held[grant.host] = self._held.get(grant.host, 0) + 1
            self._taker.granted(grant)

    def _start_again(self, round_: int, after_s: float) -> None:
        if round_ != self._round or self._closing:
            return
        self._round += 1
        self._outbox = Ask(self._worker, fresh=True, reports=self._outbox.reports, intervals=self._outbox.intervals)
        self._waiting_for = 0
        self._telling = True  # so that nothing is told before the pause is over
        self._taker.ask_again(self)
        self._telling = False
        self._due = inf
        self._tell_at(self._loop.time() + after_s)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
