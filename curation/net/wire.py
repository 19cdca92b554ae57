"""One request and the head of its response over one connection: what is left to aiohttp of HTTP/1.1.

aiohttp's connector and request are used without its session, which follows redirects, keeps
cookies, reads .netrc and proxies from the environment and repeats requests by itself: all that
a crawler must decide for itself, at a third of the processor time of a request.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from functools import partial
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import _EXC_SENTINEL as _NO_CAUSE
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.tracing import Trace
from yarl import URL

from curation.net.deadlines import HELD_UP_S, Deadline
from curation.net.fetched import Timing
from curation.net.settings import ClientSettings
from schemas.outcomes import FailureReason

_READ_BUFFER_BYTES = 1 << 18
_KEEP_ALIVE_S = 5.0
# Some sites send security policies far longer than the 8 KiB that aiohttp expects of a header.
_MAX_HEADER_BYTES = 1 << 15
_MAX_HEADERS = 128
# The deadline of the attempt is looked after elsewhere, with the phases that end in here.
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)
# What may come of a connection that was closed, or fed with leftovers, while it was idle.
_CUT_OFF = (
    aiohttp.ClientOSError,
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientConnectionResetError,
    aiohttp.ClientResponseError,
)


class _ConnectionStamps(Trace):
    """Told by the connector how it came to the connection of one request. Costs a reused one next to nothing."""

    def __init__(self, timing: Timing) -> None:
        self._clock = asyncio.get_running_loop().time
        self.timing = timing
        self._started = 0.0
        self.reused = False
        timing.dns = timing.connect = 0.0

    async def send_connection_reuseconn(self) -> None:
        self.reused = True

    async def send_connection_create_start(self) -> None:
        self._started = self._clock()
        self.timing.connect = None

    async def send_connection_create_end(self) -> None:
        self.timing.connect = self._clock() - self._started

    async def send_dns_resolvehost_start(self, host: str) -> None:
        self.timing.dns = None

    async def send_dns_resolvehost_end(self, host: str) -> None:
        now = self._clock()
        self.timing.dns = now - self._started
        self._started = now


class _Protocol(ResponseHandler):
    """Ends a body whose next bytes are no HTTP: aiohttp closes the connection and leaves its reader waiting.

    And takes no server for silent while this process was held up.
    """

    def set_exception(self, exc: BaseException, exc_cause: BaseException = _NO_CAUSE) -> None:
        super().set_exception(exc, exc_cause)
        body = self._payload
        if not isinstance(exc, HttpProcessingError) or body is None or body.is_eof():
            return
        if body.exception() is None:
            broken = aiohttp.ClientPayloadError("the rest of the response cannot be read")
            broken.__cause__ = exc
            body.set_exception(broken)

    def _on_read_timeout(self) -> None:
        due = self._read_timeout_handle
        if due is not None and self._loop.time() - due.when() > HELD_UP_S:
            # The silence was this process's own.
            self._reschedule_timeout()
        else:
            super()._on_read_timeout()


class Wire:
    """Asks for URLs over connections that it keeps open for the next request. Belongs to one event loop."""

    def __init__(self, settings: ClientSettings, resolver: AbstractResolver) -> None:
        """Takes the resolver over: `close` closes it."""
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._resolver = resolver
        self._headers = {
            "User-Agent": settings.user_agent,
            "Accept": "image/*,*/*;q=0.5",
            "Accept-Encoding": "identity",
        }
        self._trust = True if settings.ca_file is None else _trust_also(settings.ca_file)
        self._kept = self._connector(keepalive_timeout=_KEEP_ALIVE_S)
        # What was cut off on a connection kept open is asked for again on one that nobody has used before.
        self._fresh = self._connector(force_close=True)

    async def close(self) -> None:
        """Ends every connection."""
        await self._kept.close()
        await self._fresh.close()
        await self._resolver.close()

    async def ask(
        self, url: URL, headers: Mapping[str, str] | None, deadline: Deadline, timing: Timing
    ) -> aiohttp.ClientResponse:
        """Sends a GET and returns once the headers of the response are there.

        The caller releases the response. A server that closes an idle connection at the very moment
        when a request is sent over it has not refused the request: it is sent once more.

        Args:
            url: Checked already, but for what its name resolves to.
            headers: Further ones of this request.
            deadline: Entered already; the phases that end here are told to it.
            timing: Filled in.

        Raises:
            aiohttp.ClientError: Or OSError, see `failures`.
            FetchFailure: From the resolver.
        """
        stamps = _ConnectionStamps(timing)
        request_headers = self._headers if headers is None else {**self._headers, **headers}
        try:
            return await self._ask_over(self._kept, url, request_headers, deadline, stamps)
        except _CUT_OFF:
            if not stamps.reused:
                raise
        return await self._ask_over(self._fresh, url, request_headers, deadline, _ConnectionStamps(timing))

    async def _ask_over(
        self,
        connector: aiohttp.TCPConnector,
        url: URL,
        headers: Mapping[str, str],
        deadline: Deadline,
        stamps: _ConnectionStamps,
    ) -> aiohttp.ClientResponse:
        request = aiohttp.ClientRequest(
            "GET", url, headers=headers, loop=self._loop, response_class=aiohttp.ClientResponse
        )
        deadline.enter_phase(self._settings.connect_timeout_s, FailureReason.CONNECT_TIMEOUT)
        connection = await connector.connect(request, traces=[stamps], timeout=_NO_TIMEOUT)
        deadline.enter_phase(self._settings.first_byte_timeout_s, FailureReason.READ_TIMEOUT)
        sent = self._loop.time()
        try:
            response = await self._response_over(connection, request)
        except BaseException:
            connection.close()
            raise
        stamps.timing.first_byte = self._loop.time() - sent
        deadline.leave_phase()
        self._watch_silence(response)
        return response

    def _connector(self, **options: Any) -> aiohttp.TCPConnector:
        connector = aiohttp.TCPConnector(
            limit=0, resolver=self._resolver, use_dns_cache=False, ssl=self._trust, **options
        )
        connector._factory = partial(_Protocol, loop=self._loop)  # type: ignore[assignment]
        return connector

    @staticmethod
    async def _response_over(
        connection: aiohttp.connector.Connection, request: aiohttp.ClientRequest
    ) -> aiohttp.ClientResponse:
        assert connection.protocol is not None
        connection.protocol.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=_READ_BUFFER_BYTES,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
            max_headers=_MAX_HEADERS,
        )
        response = await request.send(connection)
        try:
            await response.start(connection)
        except BaseException:
            response.close()
            raise
        return response

    def _watch_silence(self, response: aiohttp.ClientResponse) -> None:
        # A body that came with its headers has given its connection back already: there is nothing to watch.
        if response.connection is not None and response.connection.protocol is not None:
            response.connection.protocol.read_timeout = self._settings.idle_timeout_s
            response.connection.protocol.start_timeout()


def _trust_also(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context
