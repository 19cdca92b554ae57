"""How many requests a host gets at once, and when it is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_STREAK = 2
"""A single 429 may be about one URL; so many in succession are about the host."""


class _Lane:
    __slots__ = ("free", "resume_at", "throttled", "users")

    def __init__(self, width: int) -> None:
        self.free = asyncio.Semaphore(width)
        self.users = 0
        self.throttled = 0
        self.resume_at = 0.0


class HostLanes:
    """One lane per host: so many requests abreast, first come, first served.

    Everything happens on one event loop.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._lanes: dict[str, _Lane] = {}

    @asynccontextmanager
    async def lane(self, host: str) -> AsyncIterator[None]:
        """Waits for a place in the host's lane and holds it."""
        lane = self._lanes.get(host)
        if lane is None:
            lane = self._lanes[host] = _Lane(self._width)
        lane.users += 1
        try:
            async with lane.free:
                await self._wait_while_paused(lane)
                yield
        finally:
            lane.users -= 1
            if lane.users == 0 and lane.throttled == 0:
                del self._lanes[host]

    def report_throttled(self, host: str, pause_s: float) -> None:
        """The host answered that it is asked too often. From the second such answer on, all its requests wait."""
        lane = self._lanes.get(host)
        if lane is None:
            return
        lane.throttled += 1
        if lane.throttled >= _STREAK:
            lane.resume_at = max(lane.resume_at, asyncio.get_running_loop().time() + pause_s)

    def report_served(self, host: str) -> None:
        """The host answered as usual."""
        lane = self._lanes.get(host)
        if lane is not None:
            lane.throttled = 0

    @staticmethod
    async def _wait_while_paused(lane: _Lane) -> None:
        clock = asyncio.get_running_loop().time
        while (pause := lane.resume_at - clock()) > 0:
            await asyncio.sleep(pause)

    def __len__(self) -> int:
        """Hosts that are remembered."""
        return len(self._lanes)
