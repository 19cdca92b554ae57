import asyncio
import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
from raw_web import Exchange, RawWeb
from read_references import read, read_one

from curation.net.fetched import Fetched, Validators
from curation.references.reader import SchemeRouter
from schemas.outcomes import FailureReason

BODY = b"some bytes"
Settings = dict[str, object]


def s3(options: Settings, **settings: object) -> Settings:
    return {"schemes": ("s3",), "storage_options": {"s3": options}, **settings}


def test_data_of_a_url_is_its_body_and_no_part_of_it_is_kept_twice():
    fetched = read_one("data:image/png;base64," + base64.b64encode(BODY).decode())
    assert (fetched.body, fetched.content_type, fetched.reason) == (BODY, "image/png", None)
    assert (fetched.final_url, fetched.status, fetched.redirects, fetched.attempts) == (None, None, None, 1)


def test_long_data_is_decoded_beside_the_loop():
    body = os.urandom(400_000)
    fetched = read_one("data:a/b;base64," + base64.b64encode(body).decode(), max_body_bytes=400_000)
    assert fetched.body == body


def test_places_of_the_gate_are_kept_for_bodies_alone():
    results, taken = read(["data:,a", "data:oops", "data:,", None, "data:,b"])
    assert [item.body for item in results] == [b"a", None, None, None, b"b"]
    assert [item.reason for item in results[1:4]] == ["invalid_url", "empty_body", "invalid_url"]
    assert taken == 2


def test_a_file_is_read_when_its_folder_is_allowed_and_not_otherwise(tmp_path: Path):
    (tmp_path / "a b.jpg").write_bytes(BODY)
    (tmp_path / "empty").touch()
    urls = [(tmp_path / name).as_uri() for name in ("a b.jpg", "empty", "missing")] + ["file:///etc/hostname"]
    results, taken = read(urls, schemes=("file",), folders=(str(tmp_path),))
    assert [item.body for item in results] == [BODY, None, None, None]
    assert [item.reason for item in results[1:]] == ["empty_body", "reference_not_found", "reference_denied"]
    assert results[0].final_url == urls[0]
    assert taken == 1
    assert read_one(urls[0]).detail == "file: not in `allow_schemes`"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_is_denied_when_its_rights_forbid_it(tmp_path: Path):
    (tmp_path / "a").touch(mode=0)
    fetched = read_one((tmp_path / "a").as_uri(), schemes=("file",), folders=(str(tmp_path),))
    assert fetched.reason is FailureReason.REFERENCE_DENIED


def test_an_object_comes_with_what_its_store_says_of_it(s3_options: Settings, put: Callable[..., str]):
    url = put("a b/ü?.png", BODY, ContentType="image/png")
    fetched = read_one(url, **s3(s3_options))
    assert (fetched.body, fetched.content_type, fetched.final_url) == (BODY, "image/png", url)
    assert fetched.etag == f'"{hashlib.md5(BODY).hexdigest()}"'
    assert str(fetched.last_modified).endswith(" GMT")
    assert (fetched.status, fetched.redirects) == (None, None)


@pytest.mark.parametrize("size", [1, 2 << 20, (2 << 20) + 1, 5_000_000])
def test_an_object_is_whole_whatever_its_length(s3_options: Settings, put: Callable[..., str], size: int):
    body = os.urandom(size)
    assert read_one(put("sized", body), **s3(s3_options, max_body_bytes=size)).body == body


def test_an_object_is_read_again_only_when_it_has_changed(s3_options: Settings, put: Callable[..., str]):
    url = put("versioned", BODY)
    first = read_one(url, **s3(s3_options))
    by_tag, by_time = Validators(url, first.etag), Validators(url, None, first.last_modified)
    for known in (by_tag, by_time):
        again = read_one(url, known=known, **s3(s3_options))
        assert (again.unchanged, again.body, again.reason) == (True, None, None)
    assert read([url], known=by_tag, **s3(s3_options))[1] == 0
    put("versioned", b"other")
    assert read_one(url, known=by_tag, **s3(s3_options)).body == b"other"
    assert read_one(url, known=Validators("s3://pictures/x", first.etag), **s3(s3_options)).body == b"other"


def test_objects_fail_with_a_reason(s3_options: Settings, put: Callable[..., str]):
    urls = [put("empty", b""), put("long", b"x" * 1001), "s3://pictures/missing", "s3://nowhere/a", put("in/x", b"1")]
    results, taken = read([*urls[:4], "s3://pictures/in"], **s3(s3_options))
    reasons = [item.reason.value for item in results if item.reason]
    assert reasons == [
        "empty_body",
        "body_too_large",
        "reference_not_found",
        "reference_not_found",
        "reference_denied",
    ]
    assert taken == 0


def answers(head: str, *bodies: str) -> Callable[[Exchange], object]:
    """Answers the question for an object with one reply, and for its bytes with one after the other."""
    asked = 0

    async def handler(exchange: Exchange) -> None:
        nonlocal asked
        if "range" not in exchange.headers:
            await exchange.send(head.encode())
            return
        asked += 1
        await exchange.send(bodies[min(asked, len(bodies)) - 1].encode())

    return handler


HEAD = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: "e"\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\n'
WHOLE = "HTTP/1.1 206 Partial\r\nContent-Length: 10\r\n\r\nsome bytes"
BUSY = (
    "HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: 70\r\n\r\n"
    "<Error><Code>SlowDown</Code><Message>m</Message><Id>17</Id></Error>   "
)
DENIED = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"


def raw_s3(web: RawWeb, **settings: object) -> Settings:
    return s3({"key": "k", "secret": "s", "endpoint_url": web.url("")}, **settings)


def test_an_object_is_denied_when_the_store_forbids_it(web: RawWeb):
    web.handle("/b/k", answers(DENIED))
    fetched = read_one("s3://b/k", **raw_s3(web))
    assert (fetched.reason, fetched.attempts) == ("reference_denied", 1)


def test_reading_is_tried_again_when_a_store_is_overloaded(web: RawWeb):
    web.handle("/b/k", answers(HEAD, BUSY, BUSY, WHOLE))
    fetched = read_one("s3://b/k", retries=2, **raw_s3(web))
    assert (fetched.body, fetched.reason, fetched.attempts) == (BODY, None, 3)


def test_the_stores_own_word_is_the_detail_when_it_stays_overloaded(web: RawWeb):
    web.handle("/b/k", answers(HEAD, BUSY))
    fetched = read_one("s3://b/k", **raw_s3(web))
    assert (fetched.reason, fetched.detail, fetched.etag) == ("reference_failed", "SlowDown", None)


def test_reading_ends_when_the_store_is_silent(web: RawWeb):
    async def silent(exchange: Exchange) -> None:
        await asyncio.sleep(30)

    web.handle("/b/k", silent)
    fetched = read_one("s3://b/k", idle_timeout_s=0.3, **raw_s3(web))
    assert fetched.reason is FailureReason.READ_TIMEOUT


def test_reading_ends_when_all_of_it_takes_too_long(web: RawWeb):
    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.3)
        await exchange.send((WHOLE if "range" in exchange.headers else HEAD).encode())

    web.handle("/b/k", slow)
    fetched = read_one("s3://b/k", total_timeout_s=0.45, idle_timeout_s=5.0, **raw_s3(web))
    assert fetched.reason is FailureReason.TOTAL_TIMEOUT


def test_an_object_is_cut_short_when_it_is_not_as_long_as_the_store_says(web: RawWeb):
    short = "HTTP/1.1 206 Partial\r\nContent-Length: 4\r\n\r\nsome"
    web.handle("/b/k", answers(HEAD, short))
    assert read_one("s3://b/k", **raw_s3(web)).reason is FailureReason.TRUNCATED_BODY


def test_nothing_is_asked_of_a_store_that_the_url_names(web: RawWeb):
    fetched = read_one(f"ftp://user:pass@127.0.0.1:{web.port}/x", schemes=("ftp",), storage_options={"ftp": FTP})
    assert fetched.reason is FailureReason.REFERENCE_DENIED
    assert not web.requests


FTP = {"host": "127.0.0.1", "port": 1}


@pytest.fixture
def memory():
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield fs
    fs.store.clear()


def test_a_file_system_without_coroutines_is_read_in_threads(memory):
    memory.pipe_file("/in/a", BODY)
    memory.pipe_file("/in/long", b"x" * 1001)
    memory.pipe_file("/in/none", b"")
    urls = [f"memory://in/{name}" for name in ("a", "long", "none", "missing")] + ["memory://in"]
    results, taken = read(urls, schemes=("memory",))
    assert results[0].body == BODY
    assert [item.reason.value for item in results if item.reason] == [
        "body_too_large",
        "empty_body",
        "reference_not_found",
        "reference_denied",
    ]
    assert taken == 1


def test_a_chain_of_file_systems_is_none():
    fetched = read_one("memory://x::file:///etc/hostname", schemes=("memory",))
    assert fetched.reason is FailureReason.REFERENCE_NOT_FOUND


def test_the_hub_is_read_over_its_own_client(web: RawWeb, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    info = '[{"type":"file","path":"a.jpg","size":10,"oid":"b1"}]'
    dataset = '{"id":"o/n","sha":"main","private":false,"siblings":[]}'
    json = "Content-Type: application/json"
    _close_after(web, "/api/datasets/o/n/revision/main", json, dataset)
    _close_after(web, "/api/datasets/o/n/tree/main?recursive=false&expand=false", json, info)
    _close_after(web, "/datasets/o/n/resolve/main/a.jpg", "Content-Range: bytes 0-9/10", BODY.decode())
    options = {"endpoint": web.url(""), "token": False}
    fetched = read_one("hf://datasets/o/n@main/a.jpg", schemes=("hf",), storage_options={"hf": options})
    assert (fetched.body, fetched.reason, fetched.etag) == (BODY, None, "b1")


def _close_after(web: RawWeb, path: str, header: str, text: str) -> None:
    """Answers a request, whose body is left unread, and hangs up."""

    async def handler(exchange: Exchange) -> None:
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\n{header}\r\nContent-Length: {len(text)}\r\n\r\n"
        await exchange.send((head + text).encode())
        exchange.hang_up()

    web.handle(path, handler)


class Recorder:
    """Stands at one side of the router and tells what came by."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.closed = False

    async def fetch(self, text: str | None, gate: asyncio.Semaphore, known: Validators | None = None) -> Fetched:
        self.asked.append(text)
        return Fetched(body=b"x")

    async def close(self) -> None:
        self.closed = True


def test_the_scheme_alone_decides_who_fetches():
    web, references = Recorder(), Recorder()

    async def scene() -> list[str | None]:
        router = SchemeRouter(web, references, ("http", "data", "s3"))
        gate = asyncio.Semaphore(10)
        urls = ["http://a", "HTTP://b", "https://c", "data:,d", " S3://e/f", "file:///g", "h", None]
        reasons = [(await router.fetch(url, gate)).reason for url in urls]
        await router.close()
        return reasons

    refused = "unsupported_scheme"
    assert asyncio.run(scene()) == [None, None, refused, None, None, refused, None, None]
    assert web.asked == ["http://a", "HTTP://b", "h", None]
    assert references.asked == ["data:,d", " S3://e/f"]
    assert (web.closed, references.closed) == (True, True)


def test_no_proxy_of_the_environment_is_asked_for_objects(monkeypatch, web: RawWeb, s3_options, put):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, web.url(""))
    monkeypatch.delenv("no_proxy", raising=False)
    assert read_one(put("a.jpg", BODY), **s3(s3_options)).body == BODY
    assert web.requests == []
