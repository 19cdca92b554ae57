"""One URL to one body over HTTP: redirects followed by hand, every hop checked, every wait bounded."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import aiohttp
from aiohttp.helpers import is_ip_address
from yarl import URL

from curation.contracts.shared import SharedLink
from curation.net.addresses import AddressPolicy
from curation.net.answers import location_of, note_response, read_body, read_rest
from curation.net.ask_window import AskWindow
from curation.net.deadlines import Deadline, DeadlineWatch
from curation.net.failures import CLIENT_ERRORS, FetchFailure, failure_of, failure_of_status
from curation.net.fetched import Fetched, Validators
from curation.net.host_health import is_about_the_host
from curation.net.name_lookup import open_lookup
from curation.net.opt_out import reserves_mining, robots_tag_objection
from curation.net.resolver import CheckedResolver
from curation.net.retries import RetryPolicy, retry_after_s, time_of
from curation.net.robots import MAX_ROBOTS_BYTES, RobotsFile, RobotsGate
from curation.net.settings import ClientSettings
from curation.net.turns import HostGivenUp, HostTurn, HostTurns
from curation.net.urls import web_url
from curation.net.wire import Wire
from schemas.outcomes import FailureReason

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BODIES = frozenset({200, 203})
_NOT_MODIFIED = 304
_ROBOTS_REDIRECTS = 5
_ROOM_FIRST_S = 1.0


@dataclass(slots=True)
class _Errand:
    """What is fetched, an image or the robots.txt that decides on images, and its record."""

    gate: asyncio.Semaphore
    window: AskWindow
    max_bytes: int
    max_redirects: int
    is_image: bool
    known: Validators | None = None
    fetched: Fetched = field(default_factory=Fetched)
    cache_control: str | None = None
    dns_s: float = 0.0


@dataclass(slots=True)
class _Step:
    body: bytes | None = None
    location: URL | None = None
    left_s: float = 0.0


class WebClient:
    """Fetches bodies. Made and used on one event loop; `close` ends it."""

    def __init__(self, settings: ClientSettings, policy: AddressPolicy, retry: RetryPolicy, limits: SharedLink) -> None:
        """Takes what it is made of; `limits` leads to the `TurnCoordinator` that all clients of a run share."""
        self._settings = settings
        self._policy = policy
        self._retry = retry
        self._turns = HostTurns(limits, settings.limits.host_concurrency, settings.concurrency)
        self._robots_gate = asyncio.Semaphore(settings.concurrency)
        self._windows = {is_image: self._turns.open_window(2 * settings.concurrency) for is_image in (True, False)}
        self._room_first: set[str] = set()
        self._robots: RobotsGate | None = None
        if settings.robots:
            self._robots = RobotsGate(self._fetch_robots, settings.agent, settings.max_crawl_delay_s)
        lookup = open_lookup(settings.resolver, settings.nameservers, settings.lookups)
        self._resolver = CheckedResolver(policy, lookup, settings.lookups)
        self._wire = Wire(settings, self._resolver)
        self._deadlines = DeadlineWatch()
        self._clock = asyncio.get_running_loop().time

    async def close(self) -> None:
        """Ends every connection."""
        if self._robots is not None:
            self._robots.close()
        self._deadlines.close()
        await self._turns.close()
        await self._wire.close()

    async def fetch(self, text: str | None, gate: asyncio.Semaphore, known: Validators | None = None) -> Fetched:
        """Fetches a URL, trying again where that may help.

        Args:
            text: The URL.
            gate: Bounds the bodies in memory. A fetch that returns a body leaves one place taken,
                which whoever has dealt with the body gives back.
            known: Of an earlier response: the server is asked to send the body only if it is another.
        """
        settings = self._settings
        window = self._windows[True]
        errand = _Errand(gate, window, settings.max_body_bytes, settings.max_redirects, is_image=True, known=known)
        fetched = errand.fetched
        clock = self._clock
        started = clock()
        earlier: FetchFailure | None = None
        while True:
            fetched.attempts += 1
            try:
                fetched.body = await self._follow(web_url(text), errand)
                break
            except FetchFailure as failure:
                wait_s = self._retry.wait_s(failure, fetched.attempts)
                if wait_s is None:
                    # What this very URL met with tells more than that its host was given up meanwhile.
                    told = earlier if earlier is not None and isinstance(failure, HostGivenUp) else failure
                    fetched.reason, fetched.detail = told.reason, told.detail
                    break
                earlier = failure
                await asyncio.sleep(wait_s)
        if fetched.reason is FailureReason.CONNECTION_RESET:
            fetched.forget_response()
        fetched.seconds = clock() - started
        return fetched

    async def _fetch_robots(self, url: URL) -> RobotsFile:
        window = self._windows[False]
        errand = _Errand(self._robots_gate, window, MAX_ROBOTS_BYTES, _ROBOTS_REDIRECTS, is_image=False)
        attempt = 0
        while True:
            attempt += 1
            try:
                body = await self._follow(url, errand)
            except FetchFailure as failure:
                wait_s = self._retry.wait_s(failure, attempt)
                if wait_s is None:
                    raise
                await asyncio.sleep(wait_s)
            else:
                self._robots_gate.release()
                return RobotsFile(body or b"", errand.cache_control)

    async def _follow(self, url: URL, errand: _Errand) -> bytes | None:
        """One attempt, from the first request to the last byte of what the redirects lead to; None if it is known."""
        errand.fetched.forget_response()
        seen: set[URL] = set()
        budget_s = self._settings.total_timeout_s
        while True:
            if url in seen:
                raise FetchFailure(FailureReason.REDIRECT_LOOP, str(url)[:200])
            if len(seen) > errand.max_redirects:
                raise FetchFailure(FailureReason.TOO_MANY_REDIRECTS, f"more than {errand.max_redirects}")
            seen.add(url)
            host = self._require_admissible(url)
            interval_s = 0.0
            if errand.is_image and self._robots is not None:
                interval_s = await self._robots.require(url)
            await self._look_up(host, errand)
            step = await self._hop_in_time(url, errand, budget_s, interval_s)
            if step.location is None:
                return step.body
            url = step.location
            budget_s = step.left_s

    async def _hop_in_time(self, url: URL, errand: _Errand, budget_s: float, interval_s: float) -> _Step:
        """One request, in a turn that is still good when there is room for its body.

        A turn that waits for room too long is given back: those that pile up would all begin when there is some.
        """
        host = (url.raw_host or "").lower()
        while True:
            async with self._turns.turn(host, errand.window, interval_s, url.port or 0) as turn:
                if await turn.acquire_in_time(errand.gate):
                    return await self._hop(url, errand, budget_s, turn)
            step = await self._hop_room_first(url, errand, budget_s, interval_s)
            if step is not None:
                return step

    async def _hop_room_first(self, url: URL, errand: _Errand, budget_s: float, interval_s: float) -> _Step | None:
        """The same with the room taken first: by one request for each host, and not for long, or None."""
        host = (url.raw_host or "").lower()
        await errand.gate.acquire()
        begun, alone = False, host not in self._room_first
        try:
            if not alone:
                return None
            self._room_first.add(host)
            async with (
                asyncio.timeout(_ROOM_FIRST_S) as patience,
                self._turns.turn(host, AskWindow(1), interval_s, url.port or 0) as turn,
            ):
                patience.reschedule(None)
                self._room_first.discard(host)
                begun = True
                return await self._hop(url, errand, budget_s, turn)
        except TimeoutError:
            return None
        finally:
            if not begun:
                errand.gate.release()
                if alone:
                    self._room_first.discard(host)

    def _require_admissible(self, url: URL) -> str:
        host = url.raw_host
        assert host is not None
        assert url.port is not None
        self._policy.require_literal(host)
        self._policy.require_port(url.port)
        return host.lower()

    async def _look_up(self, host: str, errand: _Errand) -> None:
        """Finds the addresses of a host before its turn, so that a slow nameserver keeps no place from anybody."""
        errand.dns_s = 0.0
        if is_ip_address(host):
            return
        try:
            errand.dns_s = await self._resolver.prepare(host)
        except CLIENT_ERRORS as error:
            raise failure_of(error) from error

    async def _hop(self, url: URL, errand: _Errand, budget_s: float, turn: HostTurn) -> _Step:
        step = _Step()
        turn.begin()
        deadline = self._deadlines.start(budget_s)
        try:
            with deadline:
                await self._ask(url, errand, deadline, step)
        except CLIENT_ERRORS as error:
            failure = self._failure(error, deadline)
            responded = errand.fetched.timing.first_byte is not None
            if is_about_the_host(failure.reason, responded=responded, number=getattr(error, "errno", None)):
                self._turns.report_unreachable((url.raw_host or "").lower(), failure.reason, url.port or 0)
            raise failure from error
        finally:
            step.left_s = deadline.left_s
            if step.body is None:
                errand.gate.release()
        return step

    async def _ask(self, url: URL, errand: _Errand, deadline: Deadline, step: _Step) -> None:
        timing = errand.fetched.timing
        timing.first_byte = timing.body = None
        known = errand.known
        # What is known of one URL says nothing of those that lead to it.
        headers = known.headers if known is not None and known.url == str(url) else None
        try:
            response = await self._wire.ask(url, headers, deadline, timing)
        finally:
            timing.dns = (timing.dns or 0.0) + errand.dns_s
        try:
            await self._take_response(response, errand, step, asked_if_changed=headers is not None)
        finally:
            response.release()

    async def _take_response(
        self, response: aiohttp.ClientResponse, errand: _Errand, step: _Step, *, asked_if_changed: bool
    ) -> None:
        note_response(errand.fetched, response)
        errand.cache_control = response.headers.get("Cache-Control")
        self._note_load(response)
        status = response.status
        if status in _REDIRECTS:
            self._require_consent(response, errand)
            step.location = location_of(response)
            await read_rest(response, self._deadlines)
        elif status in _BODIES:
            self._require_consent(response, errand)
            step.body = await self._body(response, errand)
        elif status == _NOT_MODIFIED and asked_if_changed:
            self._require_consent(response, errand)
            errand.fetched.unchanged = True
        else:
            asked = _asked_pause_s(response)
            await read_rest(response, self._deadlines)
            raise FetchFailure(failure_of_status(status), f"status {status}", retry_after_s=asked)

    async def _body(self, response: aiohttp.ClientResponse, errand: _Errand) -> bytes:
        clock = self._clock
        started = clock()
        # A robots.txt that is too long is cut, RFC 9309 says.
        body = await read_body(response, errand.max_bytes, cut=not errand.is_image)
        errand.fetched.timing.body = clock() - started
        if not body and errand.is_image:
            raise FetchFailure(FailureReason.EMPTY_BODY)
        return body

    def _note_load(self, response: aiohttp.ClientResponse) -> None:
        host = (response.url.raw_host or "").lower()
        status, port = response.status, response.url.port or 0
        if status == 429 or (status == 503 and "Retry-After" in response.headers):
            asked_s = _asked_pause_s(response)
            pause_s = self._retry.backoff_s if asked_s is None else asked_s
            cause = failure_of_status(status)
            self._turns.report_throttled(host, pause_s, port, cause=cause, asked=asked_s is not None)
        elif status < 500:
            self._turns.report_served(host, port)

    def _require_consent(self, response: aiohttp.ClientResponse, errand: _Errand) -> None:
        if not errand.is_image:
            return
        tags, settings = response.headers.getall("X-Robots-Tag", ()), self._settings
        objection = robots_tag_objection(tags, settings.agent, settings.robots_tags)
        if objection is not None:
            raise FetchFailure(FailureReason.OPTED_OUT, f"X-Robots-Tag: {objection}")
        if settings.tdm_reservation and reserves_mining(response.headers.getall("tdm-reservation", ())):
            raise FetchFailure(FailureReason.OPTED_OUT, "tdm-reservation: 1")

    def _failure(self, error: Exception, deadline: Deadline) -> FetchFailure:
        if not isinstance(error, TimeoutError):
            return failure_of(error)
        if isinstance(error, aiohttp.SocketTimeoutError):
            return FetchFailure(FailureReason.READ_TIMEOUT, f"silent for {self._settings.idle_timeout_s:g} s")
        if error.errno is not None:
            return failure_of(error)
        settings, reason = self._settings, deadline.ended_by
        if reason is FailureReason.CONNECT_TIMEOUT:
            return FetchFailure(reason, f"more than {settings.connect_timeout_s:g} s")
        if reason is FailureReason.READ_TIMEOUT:
            return FetchFailure(reason, f"no response within {settings.first_byte_timeout_s:g} s")
        return FetchFailure(reason, f"more than {settings.total_timeout_s:g} s")


def _asked_pause_s(response: aiohttp.ClientResponse) -> float | None:
    now = time_of(response.headers.get("Date"), time.time())
    return retry_after_s(response.headers.get("Retry-After"), now)
