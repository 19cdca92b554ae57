"""What a client makes of the bytes that a server answers with."""

import asyncio
import gzip
import zlib

import pytest
from pictures import gradient, saved
from raw_web import Exchange, RawWeb
from web_clients import fetch_one as fetch

from schemas.outcomes import FailureReason as Reason

BODY = b"\xff\xd8 not really a picture"


def test_reset_is_told_from_truncation_when_the_connection_breaks(web: RawWeb):
    async def reset(exchange: Exchange) -> None:
        exchange.reset()

    async def reset_in_the_middle(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nsome")
        await asyncio.sleep(0.05)
        exchange.reset()

    async def hang_up(exchange: Exchange) -> None:
        exchange.hang_up()

    async def short(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nsome")
        exchange.hang_up()

    async def short_chunks(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n")
        exchange.hang_up()

    handlers = {"reset": reset, "middle": reset_in_the_middle, "hang": hang_up, "short": short, "chunks": short_chunks}
    reasons = {name: fetch(web.handle(f"/{name}", handler)) for name, handler in handlers.items()}
    assert {name: got.reason for name, got in reasons.items()} == {
        "reset": Reason.CONNECTION_RESET,
        "middle": Reason.CONNECTION_RESET,
        "hang": Reason.CONNECTION_RESET,
        "short": Reason.TRUNCATED_BODY,
        "chunks": Reason.TRUNCATED_BODY,
    }
    assert reasons["middle"].status is None
    assert reasons["short"].status == 200


def test_body_is_whole_when_it_is_chunked_or_ended_by_the_connection(web: RawWeb):
    async def chunked(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")

    async def until_close(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.0 200 OK\r\n\r\nabcde")
        exchange.hang_up()

    assert fetch(web.handle("/chunked", chunked)).body == b"abcde"
    assert fetch(web.handle("/closed", until_close)).body == b"abcde"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
    ],
)
def test_response_is_malformed_when_it_is_no_http(web: RawWeb, answer: bytes):
    async def handler(exchange: Exchange) -> None:
        await exchange.send(answer)
        exchange.hang_up()

    assert fetch(web.handle("/x", handler)).reason is Reason.HTTP_MALFORMED


def test_body_is_refused_when_it_is_too_long_or_empty(web: RawWeb):
    async def undeclared(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while not exchange.writer.is_closing():
            await exchange.send(b"x" * 4000)

    assert fetch(web.on("/a", body=b"x" * 1001), max_body_bytes=1000).reason is Reason.BODY_TOO_LARGE
    assert fetch(web.on("/b", body=b"x" * 1000), max_body_bytes=1000).body == b"x" * 1000
    assert fetch(web.handle("/c", undeclared), max_body_bytes=50_000).reason is Reason.BODY_TOO_LARGE
    assert fetch(web.on("/d")).reason is Reason.EMPTY_BODY


def test_content_encoding_is_undone_within_the_cap_when_there_is_one(web: RawWeb):
    raw = zlib.compressobj(wbits=-15)
    deflated = raw.compress(BODY) + raw.flush()
    cases = {
        "gzip": (gzip.compress(BODY), "gzip"),
        "members": (gzip.compress(BODY[:4]) + gzip.compress(BODY[4:]), "gzip"),
        "zlib": (zlib.compress(BODY), "deflate"),
        "raw": (deflated, "deflate"),
        "bomb": (gzip.compress(bytes(50_000_000)), "gzip"),
        "cut": (gzip.compress(BODY)[:-9], "gzip"),
        "lie": (BODY, "gzip"),
        "brotli": (BODY, "br"),
    }
    got = {
        name: fetch(web.on(f"/{name}", body=body, headers={"Content-Encoding": encoding}))
        for name, (body, encoding) in cases.items()
    }
    assert [got[name].body for name in ("gzip", "members", "zlib", "raw")] == [BODY] * 4
    assert {name: got[name].reason for name in ("bomb", "cut", "lie", "brotli")} == {
        "bomb": Reason.BODY_TOO_LARGE,
        "cut": Reason.TRUNCATED_BODY,
        "lie": Reason.BAD_CONTENT_ENCODING,
        "brotli": Reason.BAD_CONTENT_ENCODING,
    }


def test_body_is_kept_as_it_came_when_content_encoding_names_no_encoding_or_lies(web: RawWeb):
    picture = saved(gradient(60, 40), "jpg")
    names = "aws-chunked utf-8 none binary image/jpeg gzip deflate br zstd compress x,gzip"
    for place, name in enumerate(names.split()):
        url = web.on(f"/{place}", body=picture, headers={"Content-Encoding": name})
        assert (name, fetch(url).body) == (name, picture)
        assert (name, fetch(url, max_body_bytes=len(picture) - 1).reason) == (name, Reason.BODY_TOO_LARGE)
    url = web.on("/s3", body=gzip.compress(picture), headers={"Content-Encoding": "gzip, aws-chunked"})
    assert fetch(url).body == picture
    url = web.on("/archive", body=gzip.compress(picture), headers={"Content-Encoding": "compress"})
    assert fetch(url).reason is Reason.BAD_CONTENT_ENCODING
