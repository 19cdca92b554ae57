"""Name resolution that refuses what may not be reached, so that a connection is pinned to a checked address."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from aiohttp.abc import AbstractResolver, ResolveResult

from curation.net.addresses import AddressPolicy
from curation.net.failures import FetchFailure
from curation.net.name_lookup import Found, NameLookup
from schemas.outcomes import FailureReason

_LONGEST_LOOKUP_S = 10.0
_KEPT_S = (10.0, 3600.0)
_UNKNOWN_KEPT_S = 60.0
_FAILURE_KEPT_S = 5.0
_MAX_NAMES = 100_000


@dataclass(slots=True)
class _Entry:
    answer: asyncio.Future[Found]
    expires: float = float("inf")


class CheckedResolver(AbstractResolver):
    """Looks each name up once for all who ask, and remembers the answer as long as its TTL says.

    No answer is kept for less than ten seconds or more than an hour; that there is no such name is kept for a minute,
    another failure for five seconds. The client connects to the very addresses returned here, so a
    name that answers differently the second time gains nothing. If any address of a name may not be reached, none is.
    """

    def __init__(self, policy: AddressPolicy, lookup: NameLookup, most_at_once: int = 16) -> None:
        """Takes the lookup over, and how many questions it may be asked at a time."""
        self._policy = policy
        self._lookup = lookup
        self._places = asyncio.Semaphore(most_at_once)
        self._entries: dict[str, _Entry] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name.

        Raises:
            OSError: The name has none, or the lookup failed.
            FetchFailure: One of them may not be reached. The client passes it on as it is, being no OSError.
        """
        found = await self._found(host)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=kind,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, address in found.addresses
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def prepare(self, host: str) -> float:
        """Looks a name up, so that the connection need not wait for it. Returns the seconds it took, 0 if it was known.

        Raises:
            OSError: As `resolve` does.
            FetchFailure: As `resolve` does.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        entry = self._entries.get(host)
        known = entry is not None and entry.answer.done() and started < entry.expires
        await self._found(host)
        return 0.0 if known else clock() - started

    async def _found(self, host: str) -> Found:
        now = asyncio.get_running_loop().time()
        entry = self._entries.get(host)
        if entry is None or now >= entry.expires:
            entry = self._start(host)
        # Shielded: one who gives up waiting does not take the answer from the others.
        return await asyncio.shield(entry.answer)

    def _start(self, host: str) -> _Entry:
        if len(self._entries) >= _MAX_NAMES:
            self._entries.pop(next(iter(self._entries)))
        loop = asyncio.get_running_loop()
        entry = _Entry(asyncio.ensure_future(self._look_up(host)))

        def settle(answer: asyncio.Future[Found]) -> None:
            entry.expires = loop.time() + _kept_s(answer)

        entry.answer.add_done_callback(settle)
        self._entries[host] = entry
        return entry

    async def _look_up(self, host: str) -> Found:
        async with self._places:
            try:
                async with asyncio.timeout(_LONGEST_LOOKUP_S):
                    found = await self._lookup.look_up(host)
            except TimeoutError as error:
                raise socket.gaierror(socket.EAI_AGAIN, "no answer in time") from error
        for _, address in found.addresses:
            if not self._policy.allows_address(address):
                raise FetchFailure(FailureReason.BLOCKED_ADDRESS, f"{host} is {address}")
        return found

    async def close(self) -> None:
        """Waits for no look-up that is under way."""
        await self._lookup.close()
        for entry in self._entries.values():
            entry.answer.cancel()
        self._entries.clear()


def _kept_s(answer: asyncio.Future[Found]) -> float:
    if answer.cancelled():
        return 0.0
    error = answer.exception()
    if error is None:
        low, high = _KEPT_S
        return min(high, max(low, answer.result().ttl_s))
    if isinstance(error, FetchFailure) or (isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME):
        return _UNKNOWN_KEPT_S
    return _FAILURE_KEPT_S
