"""What a store says decides whether it is asked again."""

import errno

import aiohttp
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError
from s3fs.errors import translate_boto_error

from curation.errors import AccessError, CurationError, TransientError
from curation.storage import store_failures
from curation.storage.store_failures import naming_full_disks, patiently, telling_apart


def answered(status, code):
    response = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return translate_boto_error(ClientError(response, "PutObject"))


PASSING = [
    answered(503, "SlowDown"),
    answered(500, "InternalError"),
    answered(409, "ConditionalRequestConflict"),
    answered(400, "RequestTimeout"),
    answered(400, "BadDigest"),
    answered(403, "RequestTimeTooSkewed"),
    EndpointConnectionError(endpoint_url="http://x"),
    ConnectTimeoutError(endpoint_url="http://x"),
    ReadTimeoutError(endpoint_url="http://x"),
    ResponseParserError("not XML"),
    aiohttp.ServerDisconnectedError(),
    ConnectionResetError(errno.ECONNRESET, "reset"),
]
FINAL = [
    answered(403, "AccessDenied"),
    answered(403, "InvalidAccessKeyId"),
    answered(400, "InvalidBucketName"),
    answered(501, "NotImplemented"),
    NoCredentialsError(),
]
DENIED = [
    FINAL[0],
    FINAL[1],
    answered(403, "SignatureDoesNotMatch"),
    answered(400, "ExpiredToken"),
    NoCredentialsError(),
]


def raising(error):
    with telling_apart("s3://bucket/file"):
        raise error


@pytest.mark.parametrize("error", DENIED, ids=repr)
def test_it_is_no_part_s_failure_when_a_store_does_not_let_us_in(error):
    with pytest.raises(AccessError, match="see to credentials and rights"):
        raising(error)


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_it_is_worth_another_try_when_it_may_pass(error):
    with pytest.raises(TransientError, match="s3://bucket/file: "):
        raising(error)


@pytest.mark.parametrize("error", FINAL, ids=repr)
def test_it_is_not_asked_again_when_that_cannot_help(error):
    with pytest.raises(CurationError, match=r"the store refuses: .*see to credentials and rights") as caught:
        raising(error)
    assert not isinstance(caught.value, TransientError)


def test_a_missing_file_is_no_failure_of_the_store():
    with pytest.raises(FileNotFoundError):
        raising(answered(404, "NoSuchKey"))


def test_it_asks_until_it_is_answered_and_pauses_longer_each_time(monkeypatch):
    pauses, asked = [], []
    monkeypatch.setattr(store_failures.time, "sleep", pauses.append)

    def ask(failures):
        asked.append(1)
        if len(asked) <= failures:
            raise TransientError("not now")
        return "done"

    assert patiently(lambda: ask(3), tries=4) == "done"
    assert all(0.5 * 2**n <= pause <= 1.5 * 2**n for n, pause in enumerate(pauses))
    assert len(pauses) == 3
    asked.clear()
    with pytest.raises(TransientError):
        patiently(lambda: ask(4), tries=4)


def test_a_full_disk_is_named_when_there_is_no_room():
    def write(number):
        with naming_full_disks("/data/run/x"):
            raise OSError(number, "written to")

    with pytest.raises(CurationError, match="/data/run/x: no room on this disk"):
        write(errno.ENOSPC)
    with pytest.raises(PermissionError):
        write(errno.EACCES)
