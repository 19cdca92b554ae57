"""robots.txt by RFC 9309: asked for once per site, remembered, obeyed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from yarl import URL

from curation.net.failures import FetchFailure
from curation.net.robots_paths import SLICE_CHARS
from curation.net.robots_rules import RobotsRules
from curation.net.turns import HostGivenUp
from schemas.outcomes import FailureReason

MAX_ROBOTS_BYTES = 512_000
"""What lies beyond is not read (RFC 9309 asks for at least 500 KiB)."""

_KEPT_S = 3600.0
_KEPT_BOUNDS_S = (300.0, 86_400.0)
"""A max-age is obeyed between these: a file that says `no-cache` is not asked for before every image."""
_FAILURE_KEPT_S = 60.0
_MAX_SITES = 50_000
_MAX_RULES_BYTES = 256_000_000
"""A site with thousands of rules takes the place of as many that have a few."""

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
_MAX_AGE = re.compile(r"max-age\s*=\s*\"?(\d{1,9})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RobotsFile:
    """A robots.txt as it came, and its Cache-Control header."""

    body: bytes
    cache_control: str | None = None


@dataclass(slots=True)
class _Known:
    rules: RobotsRules
    kept_s: float


@dataclass(slots=True)
class _Site:
    known: asyncio.Future[_Known]
    expires: float = float("inf")
    size_bytes: int = 0


class RobotsGate:
    """Asks each site once, however many wait for its answer. Everything happens on one event loop."""

    def __init__(
        self, fetch: Callable[[URL], Awaitable[RobotsFile]], agent: str, max_interval_s: float | None = None
    ) -> None:
        """Takes what a gate needs.

        Args:
            fetch: Fetches a robots.txt, raising FetchFailure.
            agent: The crawler's product token.
            max_interval_s: A site that asks for longer waits between two requests is not fetched from;
                None asks no site for its wish.
        """
        self._fetch = fetch
        self._agent = agent
        self._max_interval_s = max_interval_s
        self._sites: dict[URL, _Site] = {}
        self._size_bytes = 0
        # Of what takes milliseconds, one thing is done between two looks at everything else.
        self._reading = asyncio.Lock()
        self._comparing = asyncio.Lock()

    async def require(self, url: URL) -> float:
        """Returns, if the URL may be fetched, the least seconds between two requests that its site asks for.

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
            rules = (await asyncio.shield(site.known)).rules
        except HostGivenUp:
            raise
        except FetchFailure as failure:
            raise _refusal(failure) from None
        if rules.takes_long(str(url)):
            async with self._comparing:
                await asyncio.sleep(0)
                objection = _objection(rules, url)
        else:
            objection = _objection(rules, url)
        if objection is not None:
            raise FetchFailure(FailureReason.ROBOTS_DISALLOWED, f"robots.txt, {objection}")
        return self._interval_s(rules)

    def _interval_s(self, rules: RobotsRules) -> float:
        if self._max_interval_s is None:
            return 0.0
        if rules.interval_s > self._max_interval_s:
            detail = f"robots.txt asks for {rules.interval_s:g} s between requests, more than {self._max_interval_s:g}"
            raise FetchFailure(FailureReason.ROBOTS_DISALLOWED, detail)
        return rules.interval_s

    def _start(self, origin: URL) -> _Site:
        self._forget(origin)
        if len(self._sites) >= _MAX_SITES:
            self._forget(next(iter(self._sites)))
        loop = asyncio.get_running_loop()
        site = _Site(asyncio.ensure_future(self._ask(origin)))

        def settle(known: asyncio.Future[_Known]) -> None:
            failed = known.cancelled() or known.exception() is not None
            site.expires = loop.time() + (_FAILURE_KEPT_S if failed else known.result().kept_s)
            if not failed and self._sites.get(origin) is site:
                site.size_bytes = known.result().rules.size_bytes
                self._size_bytes += site.size_bytes
                while self._size_bytes > _MAX_RULES_BYTES:
                    self._forget(next(iter(self._sites)))

        site.known.add_done_callback(settle)
        self._sites[origin] = site
        return site

    def _forget(self, origin: URL) -> None:
        site = self._sites.pop(origin, None)
        if site is not None:
            self._size_bytes -= site.size_bytes

    async def _ask(self, origin: URL) -> _Known:
        try:
            file = await self._fetch(origin.with_path("/robots.txt"))
        except FetchFailure as failure:
            if isinstance(failure, HostGivenUp) or failure.reason not in _ABSENT:
                raise
            file = RobotsFile(b"")
        return _Known(await self._read(file.body.decode("utf-8", "replace")), kept_s(file.cache_control))

    async def _read(self, text: str) -> RobotsRules:
        if len(text) <= SLICE_CHARS:
            return RobotsRules(text, self._agent)
        async with self._reading:
            return await RobotsRules.read(text, self._agent)

    def close(self) -> None:
        """Lets go of every site."""
        for site in self._sites.values():
            site.known.cancel()
        self._sites.clear()
        self._size_bytes = 0


def kept_s(cache_control: str | None) -> float:
    """How long a robots.txt is kept: its max-age between five minutes and a day, an hour without one.

    Source: RFC 9309, section 2.4.
    """
    found = _MAX_AGE.search(cache_control or "")
    if found is None:
        return _KEPT_S
    low, high = _KEPT_BOUNDS_S
    return min(high, max(low, float(found.group(1))))


def _objection(rules: RobotsRules, url: URL) -> str | None:
    objection = rules.objection(str(url))
    if objection is None and url.raw_path.startswith("//"):
        # Most servers take several slashes for one.
        plain = url.with_path("/" + url.raw_path.lstrip("/"), encoded=True, keep_query=True)
        objection = rules.objection(str(plain))
    return objection


def _refusal(failure: FetchFailure) -> FetchFailure:
    detail = f"robots.txt: {failure.detail or failure.reason.value}"
    reason = FailureReason.ROBOTS_DISALLOWED if failure.reason in _OVERLOADED else failure.reason
    return FetchFailure(reason, detail)
