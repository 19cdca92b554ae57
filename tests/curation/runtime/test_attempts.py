"""The boundary at which errors become reports."""

import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from s3fs.errors import translate_boto_error
from scripted_operator import Scripted

from curation.errors import AccessError, CorruptionError, StageError, TransientError
from curation.runtime.attempts import attempt, fatal_error


@pytest.mark.parametrize(
    ("error", "text", "fatal"),
    [
        (ValueError("broken"), "ValueError: broken", False),
        (StageError("lost a row", stage="draw", part=3), "StageError: part 3, step draw: lost a row", False),
        (MemoryError(), "MemoryError: ", False),
        (CorruptionError("x.parquet: is gone"), "x.parquet: is gone", True),
    ],
)
def test_an_error_is_a_report_when_it_reaches_the_boundary(error, text, fatal):
    report = attempt(Scripted(error), 3, None).report
    assert (report.unit, report.error, report.fatal) == (3, text, fatal)


def denied(status, code):
    response = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return translate_boto_error(ClientError(response, "GetObject"))


def raised_from(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (AccessError("s3://b/x: the store refuses: no"), "s3://b/x: the store refuses: no (on "),
        (NoCredentialsError(), "NoCredentialsError: Unable to locate credentials (on "),
        (denied(403, "ExpiredToken"), "PermissionError: no (on "),
        (denied(403, "403"), "PermissionError: no (on "),
        (denied(400, "InvalidToken"), "OSError: [Errno 22] no (on "),
        (raised_from(TransientError("a.parquet: cannot be read"), denied(403, "AccessDenied")), "a.parquet: cannot be"),
    ],
)
def test_the_run_ends_when_a_store_does_not_let_a_worker_in(error, text):
    report = attempt(Scripted(error), 3, None).report
    assert (report.fatal, report.denied) == (True, True)
    assert report.error.startswith(text)
    assert "--secret passes variables to workers" in report.error
    assert type(fatal_error(report)) is AccessError


@pytest.mark.parametrize("error", [PermissionError(13, "a file of this disk"), denied(404, "NoSuchKey")])
def test_the_part_alone_fails_when_it_is_no_matter_of_credentials(error):
    report = attempt(Scripted(error), 3, None).report
    assert (report.fatal, report.denied) == (False, False)


def test_an_interruption_is_none_of_it_when_it_reaches_the_boundary():
    with pytest.raises(KeyboardInterrupt):
        attempt(Scripted(KeyboardInterrupt()), 3, None)
