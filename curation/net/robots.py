"""robots.txt by RFC 9309: asked for once per site, remembered, obeyed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from protego import Protego
from yarl import URL

from curation.net.failures import FetchFailure
from schemas.outcomes import FailureReason

MAX_ROBOTS_BYTES = 512_000
"""What lies beyond is not read (RFC 9309 asks for at least 500 KiB)."""

_KEPT_S = 3600.0
_FAILURE_KEPT_S = 60.0
_MAX_SITES = 50_000

# What says that a site has no robots.txt to obey: it answered, with something else.
_ABSENT = frozenset(
    {
        FailureReason.HTTP_UNAUTHORIZED,
        FailureReason.HTTP_FORBIDDEN,
        FailureReason.HTTP_NOT_FOUND,
        FailureReason.HTTP_GONE,
        FailureReason.HTTP_CLIENT_ERROR,
        FailureReason.HTTP_UNEXPECTED_STATUS,
        FailureReason.REDIRECT_LOOP,
        FailureReason.TOO_MANY_REDIRECTS,
        FailureReason.INVALID_URL,
        FailureReason.UNSUPPORTED_SCHEME,
    }
)
_OVERLOADED = frozenset({FailureReason.HTTP_SERVER_ERROR, FailureReason.HTTP_TOO_MANY_REQUESTS})


@dataclass(slots=True)
class _Site:
    rules: asyncio.Future[Protego]
    expires: float = float("inf")


class RobotsGate:
    """Asks each site once, however many wait for its answer. Everything happens on one event loop."""

    def __init__(self, fetch: Callable[[URL], Awaitable[bytes]], agent: str) -> None:
        """Takes what fetches a robots.txt, raising FetchFailure, and the crawler's product token."""
        self._fetch = fetch
        self._agent = agent
        self._sites: dict[URL, _Site] = {}

    async def require(self, url: URL) -> None:
        """Returns if the URL may be fetched.

        Raises:
            FetchFailure: The rules forbid it, or the site answers with 5xx or 429, which forbids
                everything; or the site cannot be reached, for the reason it cannot be.
        """
        origin = url.origin()
        now = asyncio.get_running_loop().time()
        site = self._sites.get(origin)
        if site is None or now >= site.expires:
            site = self._start(origin)
        try:
            rules = await asyncio.shield(site.rules)
        except FetchFailure as failure:
            raise _refusal(failure) from None
        if not rules.can_fetch(str(url), self._agent):
            raise FetchFailure(FailureReason.ROBOTS_DISALLOWED, f"robots.txt: {url.raw_path_qs[:200]}")

    def _start(self, origin: URL) -> _Site:
        if len(self._sites) >= _MAX_SITES:
            self._sites.pop(next(iter(self._sites)))
        loop = asyncio.get_running_loop()
        site = _Site(asyncio.ensure_future(self._rules_of(origin)))

        def settle(rules: asyncio.Future[Protego]) -> None:
            failed = rules.cancelled() or rules.exception() is not None
            site.expires = loop.time() + (_FAILURE_KEPT_S if failed else _KEPT_S)

        site.rules.add_done_callback(settle)
        self._sites[origin] = site
        return site

    async def _rules_of(self, origin: URL) -> Protego:
        try:
            body = await self._fetch(origin.with_path("/robots.txt"))
        except FetchFailure as failure:
            if failure.reason not in _ABSENT:
                raise
            body = b""
        return Protego.parse(body.decode("utf-8", "replace"))

    def close(self) -> None:
        """Lets go of every site."""
        for site in self._sites.values():
            site.rules.cancel()
        self._sites.clear()


def _refusal(failure: FetchFailure) -> FetchFailure:
    detail = f"robots.txt: {failure.detail or failure.reason.value}"
    reason = FailureReason.ROBOTS_DISALLOWED if failure.reason in _OVERLOADED else failure.reason
    return FetchFailure(reason, detail)
