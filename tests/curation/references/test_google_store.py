"""Objects of Google Cloud Storage, read by gcsfs over real sockets from a server that speaks its JSON interface."""

import json
from collections.abc import Callable

import pytest
from raw_web import RawWeb
from read_references import read, read_one

from curation.net.fetched import Validators
from schemas.outcomes import FailureReason

BODY = b"some bytes"
OBJECT = {
    "kind": "storage#object",
    "bucket": "b",
    "size": str(len(BODY)),
    "contentType": "image/png",
    "etag": "CJ0=",
    "updated": "2024-01-01T00:00:00.000Z",
    "timeCreated": "2024-01-01T00:00:00.000Z",
    "generation": "1",
}


@pytest.fixture
def gs(web: RawWeb) -> dict[str, object]:
    options = {"token": "anon", "endpoint_url": web.url("")}
    return {"schemes": ("gs",), "storage_options": {"gs": options}}


@pytest.fixture
def keep(web: RawWeb) -> Callable[[str], str]:
    """Puts an object into the bucket."""

    def keep(name: str) -> str:
        document = json.dumps({**OBJECT, "name": name}).encode()
        web.on(f"/storage/v1/b/b/o/{name}", body=document, headers={"Content-Type": "application/json"})
        web.on(f"/download/storage/v1/b/b/o/{name}?alt=media", 206, BODY)
        return f"gs://b/{name}"

    return keep


def test_object_is_read_by_two_requests_and_what_the_store_says_of_it_is_noted(web: RawWeb, gs, keep):
    fetched = read_one(keep("a.jpg"), **gs)
    assert (fetched.body, fetched.reason) == (BODY, None)
    assert (fetched.content_type, fetched.etag) == ("image/png", "CJ0=")
    assert fetched.last_modified == "Mon, 01 Jan 2024 00:00:00 GMT"
    assert len(web.requests) == 2
    assert web.requests[1][1]["range"] == f"bytes=0-{len(BODY) - 1}"


def test_object_is_not_read_again_when_it_is_the_one_that_is_known(web: RawWeb, gs, keep):
    url = keep("a.jpg")
    ((fetched,), _) = read([url], Validators(url=url, etag="CJ0="), **gs)
    assert (fetched.body, fetched.unchanged) == (None, True)
    assert len(web.requests) == 1


def test_object_is_asked_for_as_often_as_the_recipe_says_when_the_store_is_busy(web: RawWeb, gs):
    web.on("/storage/v1/b/b/o/busy.jpg", 503, b"{}")
    fetched = read_one("gs://b/busy.jpg", retries=2, **gs)
    assert (fetched.reason, fetched.attempts) == (FailureReason.REFERENCE_FAILED, 3)
    assert web.asked["/storage/v1/b/b/o/busy.jpg"] == 3


@pytest.mark.parametrize(
    ("status", "reason"), [(404, FailureReason.REFERENCE_NOT_FOUND), (403, FailureReason.REFERENCE_DENIED)]
)
def test_object_fails_for_its_reason_when_the_store_has_none_or_lets_nobody_in(web: RawWeb, gs, status, reason):
    said = json.dumps({"error": {"code": status, "message": "no"}}).encode()
    # Who may not look at objects might be allowed to list them.
    for path in ("/storage/v1/b/b/o/a.jpg", "/storage/v1/b/b/o?prefix=a.jpg&maxResults=1"):
        web.on(path, status, said)
    fetched = read_one("gs://b/a.jpg", **gs)
    assert (fetched.body, fetched.reason, fetched.attempts) == (None, reason, 1)


def test_object_is_too_long_before_any_of_it_is_read(web: RawWeb, gs, keep):
    fetched = read_one(keep("a.jpg"), **{**gs, "max_body_bytes": len(BODY) - 1})
    assert fetched.reason is FailureReason.BODY_TOO_LARGE
    assert len(web.requests) == 1
