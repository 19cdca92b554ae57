"""Tells the failures of a store apart by what the caller does, and asks again where that may help."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import aiohttp
import fsspec.exceptions
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    UnauthorizedSSOTokenError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from curation.errors import AccessError, CurationError, TransientError

T = TypeVar("T")

TRIES = 4
"""Of an operation, each of which the store's client has repeated by itself."""
FIRST_PAUSE_S = 1.0
_FINAL_NUMBERS = frozenset(
    {errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EACCES, errno.ENAMETOOLONG, errno.EMSGSIZE, errno.ENOTEMPTY}
)
_PASSING_CODES = frozenset({"BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "RequestTimeTooSkewed"})
"""Wrong requests by their status, but it was the way that spoilt them."""
_DENIED_CODES = frozenset(
    {
        *("403", "AccessDenied", "AllAccessDisabled", "AccountProblem", "ExpiredToken", "InvalidAccessKeyId"),
        *("InvalidSecurity", "InvalidToken", "NotSignedUp", "SignatureDoesNotMatch", "TokenRefreshRequired"),
    }
)
_WITHOUT_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, NoAuthTokenError, UnauthorizedSSOTokenError)
_ON_THE_WAY = (HTTPClientError, BotoConnectionError, IncompleteReadError)
STORE_ERRORS = (
    OSError,
    BotoCoreError,
    ClientError,
    ResponseParserError,
    aiohttp.ClientError,
    asyncio.TimeoutError,
    EOFError,
)
_CONFLICT, _PRECONDITION_FAILED = 409, 412


@contextlib.contextmanager
def telling_apart(place: str) -> Iterator[None]:
    """Lets errors about files pass, and turns others of a store into those of this project.

    Raises:
        TransientError: Likely to pass: the store is overloaded, slow, or cannot be reached.
        AccessError: The store refuses credentials, or does not give the right.
        CurationError: It refuses a request that it does not know.
    """
    try:
        yield
    except (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError):
        raise
    except STORE_ERRORS as error:
        raise told_apart(error, place) from error


@contextlib.contextmanager
def naming_full_disks(place: str) -> Iterator[None]:
    """Raises CurationError where a disk has no room for a file. Any other error passes."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise CurationError(f"{place}: no room on this disk; make some, then the same command goes on") from error


def told_apart(error: BaseException, place: str) -> CurationError:
    """The error of this project for an error of a store."""
    said = " ".join(str(error).split()) or type(error).__name__
    if is_denied(error):
        return AccessError(f"{place}: the store refuses: {said}; see to credentials and rights, then start again")
    if is_passing(error):
        return TransientError(f"{place}: the store did not answer as it should: {said}")
    return CurationError(f"{place}: the store refuses: {said}; see to credentials and rights, then start again")


def is_denied(error: BaseException) -> bool:
    """Whether a store misses credentials, refuses them, or does not give the right: the next request fails as well."""
    return isinstance(error, _WITHOUT_CREDENTIALS) or error_code(error) in _DENIED_CODES


def denial_behind(error: BaseException) -> BaseException | None:
    """The first of an error and its causes that says that a store does not let this process in; None if none does."""
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, AccessError) or is_denied(cause)):
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return cause


def is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    if error_code(error) in _PASSING_CODES:
        return True
    if status_of(error) in (_CONFLICT, 429) or isinstance(error, fsspec.exceptions.FSTimeoutError):
        return True
    if isinstance(error, PermissionError):
        return False
    if isinstance(error, BotoCoreError):
        return isinstance(error, _ON_THE_WAY)
    return not (isinstance(error, OSError) and error.errno in _FINAL_NUMBERS)


def is_refused_condition(error: BaseException) -> bool:
    """Whether a store said 412: s3fs maps a plain one to FileExistsError, Ceph's arrives as EINVAL with its cause."""
    return isinstance(error, FileExistsError) or status_of(error) == _PRECONDITION_FAILED


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error of s3fs or botocore."""
    status = _response_of(error).get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status if isinstance(status, int) else None


def error_code(error: BaseException) -> str | None:
    """The code of S3 behind an error of s3fs or botocore, such as `SlowDown`."""
    code = _response_of(error).get("Error", {}).get("Code")
    return str(code) if code else None


def _response_of(error: BaseException) -> dict[str, dict[str, object]]:
    for candidate in (error, error.__cause__):
        response = getattr(candidate, "response", None)
        if isinstance(response, dict):
            return response
    return {}


def patiently(ask: Callable[[], T], tries: int = TRIES) -> T:
    """Asks again, after pauses that grow and differ, as long as it fails with a TransientError."""
    pause_s = FIRST_PAUSE_S
    for _ in range(tries - 1):
        try:
            return ask()
        except TransientError:
            # Workers that were turned away together must not come back together.
            time.sleep(pause_s * random.uniform(0.5, 1.5))
            pause_s *= 2
    return ask()
