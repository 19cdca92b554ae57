import errno

import aiohttp
import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from curation.net.failures import FetchFailure
from curation.references.failures import failure_of_reading
from schemas.outcomes import FailureReason


class HttpError(Exception):
    def __init__(self, code: object) -> None:
        super().__init__("request 4711")
        self.code = code


class HubError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__()
        self.response = type("Response", (), {"status_code": status})()


def of_s3(code: str) -> OSError:
    error = OSError(errno.EBUSY, f"{code}, request 4711")
    error.__cause__ = ClientError({"Error": {"Code": code}}, "GetObject")
    return error


@pytest.mark.parametrize(
    ("error", "reason", "detail"),
    [
        (FileNotFoundError(2, "x"), "reference_not_found", "No such file or directory"),
        (NotADirectoryError(20, "x"), "reference_not_found", "Not a directory"),
        (OSError(errno.ENAMETOOLONG, "x"), "reference_not_found", "File name too long"),
        (OSError(errno.ELOOP, "x"), "reference_not_found", "Too many levels of symbolic links"),
        (IsADirectoryError(21, "x"), "reference_denied", "Is a directory"),
        (PermissionError(13, "x"), "reference_denied", "Permission denied"),
        (NoCredentialsError(), "reference_denied", "NoCredentialsError"),
        (HttpError(403), "reference_denied", "HttpError: status 403"),
        (HttpError("404"), "reference_not_found", "HttpError: status 404"),
        (HttpError("oops"), "reference_failed", "HttpError"),
        (HubError(401), "reference_denied", "HubError: status 401"),
        (HubError(500), "reference_failed", "HubError: status 500"),
        (of_s3("SlowDown"), "reference_failed", "SlowDown"),
        (OSError(errno.EIO, "x"), "reference_failed", "Input/output error"),
        (TimeoutError(), "read_timeout", "TimeoutError"),
        (ConnectionResetError(104, "x"), "connection_failed", "Connection reset by peer"),
        (aiohttp.ServerDisconnectedError(), "connection_reset", "ServerDisconnectedError"),
        (RuntimeError("anything at /a/path"), "reference_failed", "RuntimeError"),
    ],
)
def test_errors_have_a_reason_and_a_detail_that_stays_the_same(error: Exception, reason: str, detail: str):
    failure = failure_of_reading(error)
    assert (failure.reason.value, failure.detail) == (reason, detail)


def test_a_failure_stays_what_it_is():
    failure = FetchFailure(FailureReason.EMPTY_BODY)
    assert failure_of_reading(failure) is failure
