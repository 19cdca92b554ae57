"""One URL to one body over HTTP: redirects followed by hand, every hop checked, every wait bounded."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import aiohttp
from yarl import URL

from curation.net.addresses import AddressPolicy
from curation.net.failures import FetchFailure, failure_of, failure_of_status
from curation.net.inflate import BodyReader
from curation.net.lanes import HostLanes
from curation.net.opt_out import robots_tag_objection
from curation.net.resolver import CheckedResolver
from curation.net.retries import RetryPolicy, retry_after_s
from curation.net.robots import MAX_ROBOTS_BYTES, RobotsGate
from curation.net.urls import web_url
from schemas.outcomes import FailureReason

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BODIES = frozenset({200, 203})
_ROBOTS_REDIRECTS = 5
_READ_BUFFER_BYTES = 1 << 18
_KEEP_ALIVE_S = 5.0
# Some sites send security policies far longer than the 8 KiB that aiohttp expects of a header.
_MAX_HEADER_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How a client presents itself, and what it puts up with.

    Attributes:
        user_agent: The header's value.
        agent: The product token in it, by which robots.txt and X-Robots-Tag may name this crawler.
        concurrency: Requests in flight for robots.txt; for bodies the gate of each fetch counts.
        per_host_concurrency: Requests in flight per host.
        connect_timeout_s: For name resolution, connecting and the TLS handshake together.
        read_timeout_s: Between any two reads, the first byte of the response included.
        total_timeout_s: For one attempt with all its redirects, waiting for its turn not counted.
        max_body_bytes: Cap of a body, as sent and as inflated.
        max_redirects: Hops followed.
        robots: Whether robots.txt is obeyed.
        opt_out_headers: Whether X-Robots-Tag is obeyed.
    """

    user_agent: str
    agent: str
    concurrency: int
    per_host_concurrency: int
    connect_timeout_s: float
    read_timeout_s: float
    total_timeout_s: float
    max_body_bytes: int
    max_redirects: int
    robots: bool
    opt_out_headers: bool


@dataclass(slots=True)
class Fetched:
    """What became of a URL: a body or a failure, and the last response there was, if any.

    Attributes:
        seconds: From the first attempt to the last byte, waits between attempts included.
    """

    body: bytes | None = None
    reason: FailureReason | None = None
    detail: str | None = None
    status: int | None = None
    final_url: str | None = None
    redirects: int | None = None
    content_type: str | None = None
    attempts: int = 0
    seconds: float = 0.0

    def forget_response(self) -> None:
        """No response counts: none came, or how much of it came was a matter of chance."""
        self.status = self.final_url = self.redirects = self.content_type = None


@dataclass(frozen=True, slots=True)
class _Errand:
    """What is fetched: an image, or the robots.txt that decides on images."""

    max_bytes: int
    max_redirects: int
    is_image: bool


@dataclass(slots=True)
class _Step:
    body: bytes | None = None
    location: URL | None = None
    seconds: float = 0.0


class WebClient:
    """Fetches bodies. Made and used on one event loop; `close` ends it."""

    def __init__(self, settings: ClientSettings, policy: AddressPolicy, retry: RetryPolicy) -> None:
        self._settings = settings
        self._policy = policy
        self._retry = retry
        self._lanes = HostLanes(settings.per_host_concurrency)
        self._robots_gate = asyncio.Semaphore(settings.concurrency)
        self._robots = RobotsGate(self._fetch_robots, settings.agent) if settings.robots else None
        self._image = _Errand(settings.max_body_bytes, settings.max_redirects, is_image=True)
        self._session = _open_session(settings, policy)

    async def close(self) -> None:
        """Ends every connection."""
        if self._robots is not None:
            self._robots.close()
        await self._session.close()

    async def fetch(self, text: str | None, gate: asyncio.Semaphore) -> Fetched:
        """Fetches a URL, trying again where that may help.

        Args:
            text: The URL.
            gate: Bounds the bodies in memory. A fetch that returns a body leaves one place taken,
                which whoever has dealt with the body gives back.
        """
        fetched = Fetched()
        clock = asyncio.get_running_loop().time
        started = clock()
        while True:
            fetched.attempts += 1
            try:
                fetched.body = await self._follow(web_url(text), self._image, gate, fetched)
                break
            except FetchFailure as failure:
                wait_s = self._retry.wait_s(failure, fetched.attempts)
                if wait_s is None:
                    fetched.reason, fetched.detail = failure.reason, failure.detail
                    break
                await asyncio.sleep(wait_s)
        if fetched.reason is FailureReason.CONNECTION_RESET:
            fetched.forget_response()
        fetched.seconds = clock() - started
        return fetched

    async def _fetch_robots(self, url: URL) -> bytes:
        errand = _Errand(MAX_ROBOTS_BYTES, _ROBOTS_REDIRECTS, is_image=False)
        attempt = 0
        while True:
            attempt += 1
            try:
                body = await self._follow(url, errand, self._robots_gate, Fetched())
            except FetchFailure as failure:
                wait_s = self._retry.wait_s(failure, attempt)
                if wait_s is None:
                    raise
                await asyncio.sleep(wait_s)
            else:
                self._robots_gate.release()
                return body

    async def _follow(self, url: URL, errand: _Errand, gate: asyncio.Semaphore, fetched: Fetched) -> bytes:
        """One attempt, from the first request to the last byte of what the redirects lead to."""
        fetched.forget_response()
        seen: set[URL] = set()
        budget_s = self._settings.total_timeout_s
        while True:
            if url in seen:
                raise FetchFailure(FailureReason.REDIRECT_LOOP, str(url)[:200])
            if len(seen) > errand.max_redirects:
                raise FetchFailure(FailureReason.TOO_MANY_REDIRECTS, f"more than {errand.max_redirects}")
            seen.add(url)
            host = self._require_admissible(url)
            if errand.is_image and self._robots is not None:
                await self._robots.require(url)
            async with self._lanes.lane(host):
                step = await self._hop(url, errand, gate, budget_s, fetched)
            if step.body is not None:
                return step.body
            assert step.location is not None
            url = step.location
            budget_s -= step.seconds

    def _require_admissible(self, url: URL) -> str:
        host = url.host
        assert host is not None
        assert url.port is not None
        self._policy.require_literal(host)
        self._policy.require_port(url.port)
        return host.lower()

    async def _hop(
        self, url: URL, errand: _Errand, gate: asyncio.Semaphore, budget_s: float, fetched: Fetched
    ) -> _Step:
        step = _Step()
        await gate.acquire()
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(budget_s), self._session.get(url, allow_redirects=False) as response:
                await self._take_response(response, errand, step, fetched)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise failure_of(error) from error
        finally:
            step.seconds = clock() - started
            if step.body is None:
                gate.release()
        return step

    async def _take_response(
        self, response: aiohttp.ClientResponse, errand: _Errand, step: _Step, fetched: Fetched
    ) -> None:
        fetched.redirects = 0 if fetched.redirects is None else fetched.redirects + 1
        fetched.status = response.status
        fetched.final_url = str(response.url)
        fetched.content_type = _printable(response.headers.get("Content-Type"))
        self._note_load(response)
        if response.status in _REDIRECTS:
            self._require_consent(response, errand)
            step.location = _location_of(response)
        elif response.status in _BODIES:
            self._require_consent(response, errand)
            step.body = await _read_body(response, errand)
        else:
            asked = retry_after_s(response.headers.get("Retry-After"), time.time())
            raise FetchFailure(failure_of_status(response.status), f"status {response.status}", retry_after_s=asked)

    def _note_load(self, response: aiohttp.ClientResponse) -> None:
        host = (response.url.host or "").lower()
        asked = response.headers.get("Retry-After")
        if response.status == 429 or (response.status == 503 and asked is not None):
            pause_s = retry_after_s(asked, time.time())
            pause_s = self._retry.backoff_s if pause_s is None else pause_s
            self._lanes.report_throttled(host, min(pause_s, self._retry.max_wait_s))
        elif response.status < 500:
            self._lanes.report_served(host)

    def _require_consent(self, response: aiohttp.ClientResponse, errand: _Errand) -> None:
        if not (errand.is_image and self._settings.opt_out_headers):
            return
        objection = robots_tag_objection(response.headers.getall("X-Robots-Tag", []), self._settings.agent)
        if objection is not None:
            raise FetchFailure(FailureReason.OPTED_OUT, f"X-Robots-Tag: {objection}")


def _open_session(settings: ClientSettings, policy: AddressPolicy) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=0, resolver=CheckedResolver(policy), use_dns_cache=False, keepalive_timeout=_KEEP_ALIVE_S
    )
    return aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": settings.user_agent, "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"},
        timeout=aiohttp.ClientTimeout(
            total=None, connect=settings.connect_timeout_s, sock_read=settings.read_timeout_s, ceil_threshold=60.0
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=_READ_BUFFER_BYTES,
        max_line_size=_MAX_HEADER_BYTES,
        max_field_size=_MAX_HEADER_BYTES,
    )


def _location_of(response: aiohttp.ClientResponse) -> URL:
    location = response.headers.get("Location")
    if location is None:
        raise FetchFailure(FailureReason.HTTP_UNEXPECTED_STATUS, f"status {response.status} without a Location")
    return web_url(location, response.url)


async def _read_body(response: aiohttp.ClientResponse, errand: _Errand) -> bytes:
    """The body, refused by its declared length where that is too long already; a long robots.txt is cut instead."""
    reader = BodyReader(response.headers.get("Content-Encoding", ""), errand.max_bytes)
    declared = response.content_length
    if errand.is_image and declared is not None and declared > errand.max_bytes:
        raise FetchFailure(FailureReason.BODY_TOO_LARGE, f"Content-Length {declared} above {errand.max_bytes} bytes")
    try:
        async for data in response.content.iter_any():
            reader.feed(data)
    except FetchFailure as failure:
        if errand.is_image or failure.reason is not FailureReason.BODY_TOO_LARGE:
            raise
        return reader.partial()
    body = reader.finish()
    if not body and errand.is_image:
        raise FetchFailure(FailureReason.EMPTY_BODY)
    return body


def _printable(value: str | None) -> str | None:
    """A header's value as text that can be stored: bytes that are no UTF-8 arrive as lone surrogates."""
    return None if value is None else value.encode("utf-8", "replace").decode()[:200]
