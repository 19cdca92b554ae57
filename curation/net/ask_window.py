"""How many requests may have asked for a turn and not begun: a semaphore whose size follows the length of the way."""

from __future__ import annotations

import asyncio
from collections import deque


class AskWindow:
    """Places for requests between the question for a turn and the begin of the request. First come, first served.

    Too few, and a worker waits for answers; too many, and it holds turns that it cannot use yet.
    Belongs to one event loop.
    """

    def __init__(self, places: int) -> None:
        """Takes the number of places where answers come at once."""
        self._places = places
        self._limit = places
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def stretch(self, factor: float) -> None:
        """There are so many times as many places from now on."""
        self._limit = max(1, int(self._places * factor))
        self._admit()

    async def acquire(self) -> None:
        """Waits for a place and takes it."""
        if self._taken < self._limit and not self._waiting:
            self._taken += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Gives a place back."""
        self._taken -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._taken < self._limit:
            place = self._waiting.popleft()
            if not place.done():
                self._taken += 1
                place.set_result(None)
