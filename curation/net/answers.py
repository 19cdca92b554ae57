"""What is taken from a response: where it leads to, its body within bounds, and headers fit to be stored."""

from __future__ import annotations

import contextlib
import re

import aiohttp
from yarl import URL

from curation.net.deadlines import DeadlineWatch
from curation.net.failures import CLIENT_ERRORS, FetchFailure
from curation.net.fetched import Fetched
from curation.net.inflate import BodyReader
from curation.net.urls import web_url
from schemas.outcomes import FailureReason

_CONTENT_TYPE_CHARS = 200
_VALIDATOR_CHARS = 1024
# A new connection, with TLS, is about as dear as so many bytes.
_REST_BYTES = 1 << 16
_REST_S = 0.5
_STORABLE = re.compile(r"[\x20-\x7e]*")


def note_response(fetched: Fetched, response: aiohttp.ClientResponse) -> None:
    """Takes down what the response says of itself, in place of what the one before it said."""
    headers = response.headers
    if fetched.final_url is not None:
        fetched.redirect_chain.append(fetched.final_url)
    fetched.status = response.status
    fetched.final_url = str(response.url)
    content_type = headers.get("Content-Type")
    fetched.content_type = None if content_type is None else _printable(content_type)[:_CONTENT_TYPE_CHARS]
    fetched.etag = _validator(headers.get("ETag"))
    fetched.last_modified = _validator(headers.get("Last-Modified"))


def location_of(response: aiohttp.ClientResponse) -> URL:
    """Where a redirect leads to. Raises FetchFailure if it does not say so, or says nonsense."""
    location = response.headers.get("Location")
    if location is None:
        raise FetchFailure(FailureReason.HTTP_UNEXPECTED_STATUS, f"status {response.status} without a Location")
    return web_url(location, response.url)


async def read_body(response: aiohttp.ClientResponse, max_bytes: int, *, cut: bool = False) -> bytes:
    """The body, inflated.

    Args:
        response: Whose headers are there.
        max_bytes: Cap, as sent and as inflated.
        cut: What is too long is cut instead of refused.

    Raises:
        FetchFailure: Too long, damaged or not complete. A declared length above the cap is refused unread.
        aiohttp.ClientError: The connection broke.
    """
    headers = response.headers
    reader = BodyReader(headers.get("Content-Encoding", ""), max_bytes)
    declared = headers.get("Content-Length")
    if not cut and declared is not None and declared.isdecimal() and int(declared[:20]) > max_bytes:
        raise FetchFailure(FailureReason.BODY_TOO_LARGE, f"Content-Length {declared[:20]} above {max_bytes} bytes")
    content = response.content
    try:
        while data := await content.readany():
            reader.feed(data)
    except FetchFailure as failure:
        if not cut or failure.reason is not FailureReason.BODY_TOO_LARGE:
            raise
        return reader.partial()
    return reader.finish()


async def read_rest(response: aiohttp.ClientResponse, deadlines: DeadlineWatch) -> None:
    """Reads a body that nobody wants, if it is small and comes soon: its connection can then be used again."""
    if response.content.is_eof():
        return
    declared = response.headers.get("Content-Length", "0")
    if not declared.isdecimal() or len(declared) > 9 or int(declared) > _REST_BYTES:
        return
    received = 0
    with contextlib.suppress(*CLIENT_ERRORS), deadlines.start(_REST_S):
        while received <= _REST_BYTES and (data := await response.content.readany()):
            received += len(data)


def _printable(value: str) -> str:
    """A header's value as text that can be stored: bytes that are no UTF-8 arrive as lone surrogates."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _validator(value: str | None) -> str | None:
    # Sent back, it must be what was sent: a value that cannot be stored as it is cannot be asked with either.
    if value is None or len(value) > _VALIDATOR_CHARS or not _STORABLE.fullmatch(value):
        return None
    return value
