"""Name resolution that refuses what may not be reached, so that a connection is pinned to a checked address."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from aiohttp.abc import AbstractResolver, ResolveResult

from curation.net.addresses import AddressPolicy
from curation.net.failures import FetchFailure
from schemas.outcomes import FailureReason

_KEPT_S = 300.0
_FAILURE_KEPT_S = 30.0
_MAX_NAMES = 100_000


@dataclass(slots=True)
class _Entry:
    answer: asyncio.Future[list[ResolveResult]]
    expires: float = float("inf")


class CheckedResolver(AbstractResolver):
    """Resolves by the system's resolver in threads of its own, once for all who ask at the same time.

    The client connects to the very addresses returned here, so a name that answers differently
    the second time gains nothing. If any address of a name may not be reached, none is.
    """

    def __init__(self, policy: AddressPolicy, threads: int = 16) -> None:
        self._policy = policy
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="resolve")
        self._entries: dict[tuple[str, int], _Entry] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name.

        Raises:
            OSError: The name has none, or the resolver failed.
            FetchFailure: One of them may not be reached. The client passes it on as it is, being no OSError.
        """
        now = asyncio.get_running_loop().time()
        entry = self._entries.get((host, port))
        if entry is None or now >= entry.expires:
            entry = self._start(host, port, family)
        # Shielded: one who gives up waiting does not take the answer from the others.
        return await asyncio.shield(entry.answer)

    def _start(self, host: str, port: int, family: socket.AddressFamily) -> _Entry:
        if len(self._entries) >= _MAX_NAMES:
            self._entries.pop(next(iter(self._entries)))
        loop = asyncio.get_running_loop()
        entry = _Entry(asyncio.ensure_future(self._look_up(host, port, family)))

        def settle(answer: asyncio.Future[list[ResolveResult]]) -> None:
            failed = answer.cancelled() or answer.exception() is not None
            entry.expires = loop.time() + (_FAILURE_KEPT_S if failed else _KEPT_S)

        entry.answer.add_done_callback(settle)
        self._entries[host, port] = entry
        return entry

    async def _look_up(self, host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        answers = await loop.run_in_executor(
            self._executor,
            lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG),
        )
        results = []
        for found, _, proto, _, place in answers:
            address = str(place[0])
            if not self._policy.allows_address(address):
                raise FetchFailure(FailureReason.BLOCKED_ADDRESS, f"{host} is {address}")
            results.append(
                ResolveResult(
                    hostname=host, host=address, port=port, family=found, proto=proto, flags=socket.AI_NUMERICHOST
                )
            )
        return results

    async def close(self) -> None:
        """Waits for no look-up that is under way."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        for entry in self._entries.values():
            entry.answer.cancel()
        self._entries.clear()
