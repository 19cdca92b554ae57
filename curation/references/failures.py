"""Why a reference could not be read: what operating system and stores raise becomes a FailureReason."""

from __future__ import annotations

import errno
import os

import aiohttp

from curation.net.failures import FetchFailure, failure_of
from schemas.outcomes import FailureReason

_BY_TYPE: tuple[tuple[type[BaseException], FailureReason], ...] = (
    (FileNotFoundError, FailureReason.REFERENCE_NOT_FOUND),
    (NotADirectoryError, FailureReason.REFERENCE_NOT_FOUND),
    (IsADirectoryError, FailureReason.REFERENCE_DENIED),
    (PermissionError, FailureReason.REFERENCE_DENIED),
    (TimeoutError, FailureReason.READ_TIMEOUT),
)

_BY_ERRNO = {
    errno.ENAMETOOLONG: FailureReason.REFERENCE_NOT_FOUND,
    errno.ELOOP: FailureReason.REFERENCE_NOT_FOUND,
    errno.ENXIO: FailureReason.REFERENCE_DENIED,
}

_BY_STATUS = {
    401: FailureReason.REFERENCE_DENIED,
    403: FailureReason.REFERENCE_DENIED,
    404: FailureReason.REFERENCE_NOT_FOUND,
    410: FailureReason.REFERENCE_NOT_FOUND,
}

# Clients of stores have errors that are no OSError. They are known by name: none of the clients need be installed.
_BY_NAME = {
    "NoCredentialsError": FailureReason.REFERENCE_DENIED,
    "PartialCredentialsError": FailureReason.REFERENCE_DENIED,
    "CredentialRetrievalError": FailureReason.REFERENCE_DENIED,
    "DefaultCredentialsError": FailureReason.REFERENCE_DENIED,
    "EndpointConnectionError": FailureReason.CONNECTION_FAILED,
    "ConnectionClosedError": FailureReason.CONNECTION_RESET,
    "ConnectTimeoutError": FailureReason.CONNECT_TIMEOUT,
    "ReadTimeoutError": FailureReason.READ_TIMEOUT,
    "ConnectError": FailureReason.CONNECTION_FAILED,
    "ConnectTimeout": FailureReason.CONNECT_TIMEOUT,
    "ReadTimeout": FailureReason.READ_TIMEOUT,
}


def failure_of_reading(error: BaseException) -> FetchFailure:
    """The failure that an exception stands for.

    The detail names the kind of error and no more: messages of stores hold numbers of requests, and paths.
    """
    if isinstance(error, FetchFailure):
        return error
    if isinstance(error, aiohttp.ClientError):
        return failure_of(error)
    reason = _reason_of(error)
    return FetchFailure(reason, _detail_of(error))


def _reason_of(error: BaseException) -> FailureReason:
    named = _BY_NAME.get(type(error).__name__)
    if named is not None:
        return named
    for kind, reason in _BY_TYPE:
        if isinstance(error, kind):
            return reason
    if isinstance(error, OSError) and error.errno in _BY_ERRNO:
        return _BY_ERRNO[error.errno]
    if type(error) is OSError and error.errno is None and str(error).startswith("Forbidden"):  # gcsfs: a 403
        return FailureReason.REFERENCE_DENIED
    status = _status_of(error)
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if isinstance(error, ConnectionError):
        return FailureReason.CONNECTION_FAILED
    return FailureReason.REFERENCE_FAILED


def _status_of(error: BaseException) -> int | None:
    """The HTTP status that a client's error carries, under whichever name."""
    response = getattr(error, "response", None)
    for holder in (error, response):
        for name in ("status_code", "status", "code"):
            value = getattr(holder, name, None)
            if isinstance(value, int):
                return value
            if isinstance(value, str) and value.isdecimal():
                return int(value)
    return None


def _detail_of(error: BaseException) -> str:
    code = _store_code(error) or _store_code(error.__cause__)
    if code is not None:
        return code
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    status = _status_of(error)
    return type(error).__name__ if status is None else f"{type(error).__name__}: status {status}"


def _store_code(error: BaseException | None) -> str | None:
    """What S3 calls the error, such as `SlowDown`."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return None
    code = response.get("Error", {}).get("Code")
    return None if code is None else str(code)[:100]
