"""Why a fetch failed: every exception of the client and of the operating system becomes a FailureReason."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl

import aiohttp
from aiohttp import http_exceptions

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
        FailureReason.REFERENCE_FAILED,
    }
)
"""What may go away by itself. A server that was too slow has cost its whole deadline already: it is not asked again."""

CLIENT_ERRORS: tuple[type[Exception], ...] = (
    aiohttp.ClientError,
    http_exceptions.HttpProcessingError,
    OSError,
    EOFError,
    ValueError,
    asyncio.InvalidStateError,
)
"""What a request may raise beside FetchFailure: `failure_of` knows a reason for each."""

_BY_STATUS = {
    401: FailureReason.HTTP_UNAUTHORIZED,
    403: FailureReason.HTTP_FORBIDDEN,
    404: FailureReason.HTTP_NOT_FOUND,
    410: FailureReason.HTTP_GONE,
    429: FailureReason.HTTP_TOO_MANY_REQUESTS,
}

_BY_ERRNO = {
    errno.ECONNREFUSED: FailureReason.CONNECTION_REFUSED,
    errno.ETIMEDOUT: FailureReason.CONNECT_TIMEOUT,
    **dict.fromkeys(
        (errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ENOTCONN, errno.ESHUTDOWN, errno.ENETRESET),
        FailureReason.CONNECTION_RESET,
    ),
    # No way to the host, or none that this machine, its firewall or its limits allow.
    **dict.fromkeys(
        (
            *(errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL),
            *(errno.EADDRINUSE, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EPROTOTYPE, errno.EPROTO),
            *(errno.ENOPROTOOPT, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM),
            *(errno.EAGAIN, errno.EALREADY, errno.EINPROGRESS, errno.EISCONN, errno.EINTR, errno.EINVAL),
            *(errno.EBADF, errno.ENOTSOCK, errno.EMSGSIZE, errno.EDESTADDRREQ, errno.EOPNOTSUPP, errno.EFAULT),
            *(errno.EIO, errno.ENOENT),
        ),
        FailureReason.CONNECTION_FAILED,
    ),
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
    (ConnectionRefusedError, FailureReason.CONNECTION_REFUSED),
    (ConnectionResetError, FailureReason.CONNECTION_RESET),
    (ConnectionAbortedError, FailureReason.CONNECTION_RESET),
    (BrokenPipeError, FailureReason.CONNECTION_RESET),
    (aiohttp.NonHttpUrlClientError, FailureReason.UNSUPPORTED_SCHEME),
    (aiohttp.InvalidURL, FailureReason.INVALID_URL),
    (aiohttp.TooManyRedirects, FailureReason.TOO_MANY_REDIRECTS),
    (aiohttp.ContentTypeError, FailureReason.HTTP_MALFORMED),
    (aiohttp.ClientResponseError, FailureReason.HTTP_MALFORMED),
    (http_exceptions.ContentEncodingError, FailureReason.BAD_CONTENT_ENCODING),
    (http_exceptions.DecompressSizeError, FailureReason.BODY_TOO_LARGE),
    (http_exceptions.ContentLengthError, FailureReason.TRUNCATED_BODY),
    (http_exceptions.TransferEncodingError, FailureReason.HTTP_MALFORMED),
    (http_exceptions.HttpProcessingError, FailureReason.HTTP_MALFORMED),
    (aiohttp.ClientPayloadError, FailureReason.TRUNCATED_BODY),
    (EOFError, FailureReason.TRUNCATED_BODY),
    (aiohttp.ClientConnectionError, FailureReason.CONNECTION_FAILED),
    (aiohttp.ClientError, FailureReason.CONNECTION_FAILED),
    (asyncio.InvalidStateError, FailureReason.CONNECTION_FAILED),
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
    """The failure that an exception of aiohttp, asyncio, ssl or the operating system stands for.

    Raises:
        TypeError: For an exception that is none of `CLIENT_ERRORS`, such as a mistake in the code.
    """
    if isinstance(error, FetchFailure):
        return error
    if isinstance(error, aiohttp.ClientPayloadError):
        return FetchFailure(_payload_reason(error))
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return _dns_failure(error.os_error)
    if isinstance(error, socket.gaierror | socket.herror):
        return _dns_failure(error)
    number = _errno_of(error)
    if isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError):
        return failure_of(error.os_error)
    if number is not None and number in _BY_ERRNO:
        return FetchFailure(_BY_ERRNO[number], os.strerror(number))
    for kind, reason in _BY_TYPE:
        if isinstance(error, kind):
            return FetchFailure(reason, _detail_of(error, number))
    raise TypeError(f"{type(error).__name__} is no failure of a fetch") from error


def _payload_reason(error: aiohttp.ClientPayloadError) -> FailureReason:
    # aiohttp keeps the operating system's error in the text of its own alone.
    if "ConnectionResetError" in str(error):
        return FailureReason.CONNECTION_RESET
    cause = error.__cause__
    truncated = cause is None or isinstance(
        cause, http_exceptions.ContentLengthError | http_exceptions.TransferEncodingError
    )
    return FailureReason.TRUNCATED_BODY if truncated else FailureReason.HTTP_MALFORMED


def _dns_failure(error: OSError) -> FetchFailure:
    known = isinstance(error, socket.gaierror) and error.errno in _NAME_UNKNOWN
    reason = FailureReason.DNS_NOT_FOUND if known else FailureReason.DNS_FAILED
    return FetchFailure(reason, error.strerror)


def _errno_of(error: BaseException) -> int | None:
    """The operating system's number. OpenSSL has numbers of its own, which mean other things."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    is_tls = isinstance(error, aiohttp.ClientSSLError) or isinstance(cause, ssl.SSLError)
    return cause.errno if isinstance(cause, OSError) and not is_tls else None


def _detail_of(error: BaseException, number: int | None) -> str | None:
    certificate = getattr(error, "certificate_error", None) or error
    if isinstance(certificate, ssl.SSLCertVerificationError):
        return getattr(certificate, "verify_message", None) or type(certificate).__name__
    if isinstance(error, aiohttp.ClientSSLError):
        return getattr(error.os_error, "reason", None) or type(error.os_error).__name__
    if number is not None and number > 0:
        return os.strerror(number)
    return type(error).__name__
