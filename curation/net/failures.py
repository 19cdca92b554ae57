"""Why a fetch failed: every exception of the client and of the operating system becomes a FailureReason."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import aiohttp

from schemas.outcomes import FailureReason


class FetchFailure(Exception):
    """A fetch ended without a body.

    Attributes:
        reason: Why.
        detail: The evidence; the same for the same behaviour of the server, so no times and no local ports.
        retry_after_s: How long the server asked to be left alone, None if it did not.
    """

    def __init__(self, reason: FailureReason, detail: str | None = None, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.retry_after_s = retry_after_s


HEALABLE = frozenset(
    {
        FailureReason.DNS_FAILED,
        FailureReason.CONNECTION_REFUSED,
        FailureReason.CONNECTION_RESET,
        FailureReason.CONNECTION_FAILED,
        FailureReason.CONNECT_TIMEOUT,
        FailureReason.HTTP_TOO_MANY_REQUESTS,
        FailureReason.HTTP_SERVER_ERROR,
        FailureReason.TRUNCATED_BODY,
    }
)
"""What may go away by itself. A server that was too slow has cost its whole deadline already: it is not asked again."""

_BY_STATUS = {
    401: FailureReason.HTTP_UNAUTHORIZED,
    403: FailureReason.HTTP_FORBIDDEN,
    404: FailureReason.HTTP_NOT_FOUND,
    410: FailureReason.HTTP_GONE,
    429: FailureReason.HTTP_TOO_MANY_REQUESTS,
}

_BY_ERRNO = {
    errno.ECONNREFUSED: FailureReason.CONNECTION_REFUSED,
    errno.ECONNRESET: FailureReason.CONNECTION_RESET,
    errno.ECONNABORTED: FailureReason.CONNECTION_RESET,
    errno.EPIPE: FailureReason.CONNECTION_RESET,
    errno.ETIMEDOUT: FailureReason.CONNECT_TIMEOUT,
}

_NAME_UNKNOWN = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}

# The first match counts, so a class stands before its bases.
_BY_TYPE: tuple[tuple[type[BaseException], FailureReason], ...] = (
    (aiohttp.ConnectionTimeoutError, FailureReason.CONNECT_TIMEOUT),
    (aiohttp.ServerTimeoutError, FailureReason.READ_TIMEOUT),
    (TimeoutError, FailureReason.TOTAL_TIMEOUT),
    (aiohttp.ClientSSLError, FailureReason.TLS_FAILED),
    (aiohttp.ClientConnectorCertificateError, FailureReason.TLS_FAILED),
    (aiohttp.ServerFingerprintMismatch, FailureReason.TLS_FAILED),
    (ssl.SSLError, FailureReason.TLS_FAILED),
    (ssl.CertificateError, FailureReason.TLS_FAILED),
    (aiohttp.ServerDisconnectedError, FailureReason.CONNECTION_RESET),
    (ConnectionResetError, FailureReason.CONNECTION_RESET),
    (aiohttp.NonHttpUrlClientError, FailureReason.UNSUPPORTED_SCHEME),
    (aiohttp.InvalidURL, FailureReason.INVALID_URL),
    (aiohttp.TooManyRedirects, FailureReason.TOO_MANY_REDIRECTS),
    (aiohttp.ClientResponseError, FailureReason.HTTP_MALFORMED),
    (aiohttp.ClientConnectionError, FailureReason.CONNECTION_FAILED),
    (aiohttp.ClientError, FailureReason.CONNECTION_FAILED),
    (OSError, FailureReason.CONNECTION_FAILED),
    (ValueError, FailureReason.INVALID_URL),
)


def failure_of_status(status: int) -> FailureReason:
    """The reason for a response that is neither a body nor a redirect."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 400 <= status < 500:
        return FailureReason.HTTP_CLIENT_ERROR
    if 500 <= status < 600:
        return FailureReason.HTTP_SERVER_ERROR
    return FailureReason.HTTP_UNEXPECTED_STATUS


def failure_of(error: BaseException) -> FetchFailure:
    """The failure that an exception of aiohttp, asyncio, ssl or the operating system stands for."""
    if isinstance(error, FetchFailure):
        return error
    if isinstance(error, aiohttp.ClientPayloadError):
        return FetchFailure(_payload_reason(error))
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return _dns_failure(error.os_error)
    if isinstance(error, socket.gaierror):
        return _dns_failure(error)
    number = _errno_of(error)
    if number in _BY_ERRNO and not isinstance(error, ssl.SSLError):
        return FetchFailure(_BY_ERRNO[number], os.strerror(number))
    for kind, reason in _BY_TYPE:
        if isinstance(error, kind):
            return FetchFailure(reason, _detail_of(error, number))
    return FetchFailure(FailureReason.CONNECTION_FAILED, type(error).__name__)


def _payload_reason(error: aiohttp.ClientPayloadError) -> FailureReason:
    # aiohttp keeps the operating system's error in the text of its own alone.
    if "ConnectionResetError" in str(error):
        return FailureReason.CONNECTION_RESET
    cause = error.__cause__
    truncated = cause is None or isinstance(
        cause, aiohttp.http_exceptions.ContentLengthError | aiohttp.http_exceptions.TransferEncodingError
    )
    return FailureReason.TRUNCATED_BODY if truncated else FailureReason.HTTP_MALFORMED


def _dns_failure(error: OSError) -> FetchFailure:
    known = isinstance(error, socket.gaierror) and error.errno in _NAME_UNKNOWN
    reason = FailureReason.DNS_NOT_FOUND if known else FailureReason.DNS_FAILED
    return FetchFailure(reason, error.strerror)


def _errno_of(error: BaseException) -> int | None:
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.errno
    return error.errno if isinstance(error, OSError) else None


def _detail_of(error: BaseException, number: int | None) -> str | None:
    certificate = getattr(error, "certificate_error", None) or error
    if isinstance(certificate, ssl.SSLCertVerificationError):
        return getattr(certificate, "verify_message", None) or type(certificate).__name__
    if number is not None and number > 0 and not isinstance(error, ssl.SSLError):
        return os.strerror(number)
    return type(error).__name__
