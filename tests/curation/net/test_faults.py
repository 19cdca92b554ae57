"""What servers do wrong, over real sockets: each fault ends in its reason, within its deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from raw_web import Exchange, RawWeb
from web_clients import fetch_all, fetch_one

from schemas.outcomes import FailureReason as Reason

BODY = b"\xff\xd8 not really a picture"
LENGTH = f"Content-Length: {len(BODY)}\r\n".encode()

Script = Callable[[Exchange], Awaitable[None]]


def says(*pieces: bytes | float, hang_up: bool = True) -> Script:
    """A script that sends pieces and pauses for numbers."""

    async def script(exchange: Exchange) -> None:
        for piece in pieces:
            if isinstance(piece, float):
                await asyncio.sleep(piece)
            else:
                await exchange.send(piece)
        if hang_up:
            exchange.hang_up()

    return script


def resets(*pieces: bytes) -> Script:
    async def script(exchange: Exchange) -> None:
        for piece in pieces:
            await exchange.send(piece)
        await asyncio.sleep(0.05)
        exchange.reset()

    return script


def for_ever(piece: bytes, pause_s: float, before: bytes = b"") -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.send(before)
        while not exchange.writer.is_closing():
            await exchange.send(piece)
            await asyncio.sleep(pause_s)

    return script


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

WHOLE = {
    "HTTP/1.0 without a length": says(b"HTTP/1.0 200 OK\r\n\r\n", BODY),
    "HTTP/1.0 with a length": says(b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\n" + BODY),
    "HTTP/1.1 until the end of the connection": says(OK + b"\r\n", BODY[:3], 0.05, BODY[3:]),
    "chunks": says(
        CHUNKED, b"3;ext=1\r\n" + BODY[:3] + b"\r\n", f"{len(BODY) - 3:X}\r\n".encode(), BODY[3:], b"\r\n0\r\n\r\n"
    ),
    "chunks with trailers": says(CHUNKED, f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\nX-Sum: 1\r\n\r\n"),
    "chunks byte by byte": says(CHUNKED, *(b"1\r\n%c\r\n" % byte for byte in BODY), b"0\r\n\r\n"),
    "100 Continue before": says(b"HTTP/1.1 100 Continue\r\n\r\n", OK + LENGTH + b"\r\n" + BODY),
    "103 Early Hints before": says(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 2 + OK + LENGTH + b"\r\n" + BODY
    ),
    "status 203": says(b"HTTP/1.1 203 Somehow\r\n" + LENGTH + b"\r\n" + BODY),
    "headers in small pieces": says(*(bytes([byte]) for byte in OK + LENGTH + b"\r\n"), BODY),
    "no reason phrase": says(b"HTTP/1.1 200\r\n" + LENGTH + b"\r\n" + BODY),
    "a header that is no UTF-8": says(OK + b"X-Name: caf\xe9\r\n" + LENGTH + b"\r\n" + BODY),
    "folded header": says(OK + b"X-A: a\r\n b\r\n" + LENGTH + b"\r\n" + BODY),
    "a long header": says(OK + b"Content-Security-Policy: " + b"x" * 30_000 + b"\r\n" + LENGTH + b"\r\n" + BODY),
}


@pytest.mark.parametrize("fault", WHOLE)
def test_body_is_whole_when_a_server_is_merely_odd(web: RawWeb, fault: str):
    got = fetch_one(web.handle("/x", WHOLE[fault]))
    assert (got.body, got.reason, got.detail) == (BODY, None, None)


BROKEN = {
    "status 204": (says(b"HTTP/1.1 204 No Content\r\n\r\n"), Reason.HTTP_UNEXPECTED_STATUS),
    "status 205": (says(b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"), Reason.HTTP_UNEXPECTED_STATUS),
    "status 206": (says(b"HTTP/1.1 206 Partial\r\n" + LENGTH + b"\r\n" + BODY), Reason.HTTP_UNEXPECTED_STATUS),
    "status 304": (says(b"HTTP/1.1 304 Not Modified\r\n\r\n"), Reason.HTTP_UNEXPECTED_STATUS),
    "status 101": (says(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"), Reason.HTTP_UNEXPECTED_STATUS),
    "status 999": (says(b"HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n"), Reason.HTTP_UNEXPECTED_STATUS),
    "status 0": (says(b"HTTP/1.1 0 X\r\n\r\n"), Reason.HTTP_MALFORMED),
    "empty": (says(OK + b"Content-Length: 0\r\n\r\n"), Reason.EMPTY_BODY),
    "two lengths": (says(OK + LENGTH + b"Content-Length: 3\r\n\r\n" + BODY), Reason.HTTP_MALFORMED),
    "negative length": (says(OK + b"Content-Length: -1\r\n\r\n" + BODY), Reason.HTTP_MALFORMED),
    "length beyond 64 bits": (says(OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"), Reason.HTTP_MALFORMED),
    "huge length": (says(OK + b"Content-Length: 18446744073709551615\r\n\r\n" + BODY), Reason.BODY_TOO_LARGE),
    "length and chunks": (says(OK + LENGTH + CHUNKED[len(OK) :] + b"0\r\n\r\n"), Reason.HTTP_MALFORMED),
    "cut by FIN": (says(OK + b"Content-Length: 90\r\n\r\n" + BODY, 0.05), Reason.TRUNCATED_BODY),
    "cut by RST": (resets(OK + b"Content-Length: 90\r\n\r\n" + BODY), Reason.CONNECTION_RESET),
    "chunks cut by FIN": (says(CHUNKED + b"4\r\nab", 0.05), Reason.TRUNCATED_BODY),
    "chunks cut between two": (says(CHUNKED + b"2\r\nab\r\n", 0.05), Reason.TRUNCATED_BODY),
    "chunks cut by RST": (resets(CHUNKED + b"4\r\nab"), Reason.CONNECTION_RESET),
    "bad chunk size": (says(CHUNKED + b"zz\r\nab\r\n0\r\n\r\n"), Reason.HTTP_MALFORMED),
    "bad chunk size later": (
        says(CHUNKED + b"2\r\nab\r\n", 0.05, b"zz\r\nab\r\n0\r\n\r\n", 0.05),
        Reason.HTTP_MALFORMED,
    ),
    "negative chunk size": (says(CHUNKED, 0.05, b"-2\r\nab\r\n0\r\n\r\n"), Reason.HTTP_MALFORMED),
    "huge chunk size": (says(CHUNKED, 0.05, b"f" * 40 + b"\r\nab\r\n"), Reason.HTTP_MALFORMED),
    "junk in place of a chunk's end": (says(CHUNKED, 0.05, b"2\r\nabXX0\r\n\r\n"), Reason.HTTP_MALFORMED),
    "nothing at all": (says(), Reason.CONNECTION_RESET),
    "headers cut by FIN": (says(OK + b"Content-Le"), Reason.CONNECTION_RESET),
    "headers cut by RST": (resets(OK + b"Content-Le"), Reason.CONNECTION_RESET),
    "HTTP/0.9": (says(BODY), Reason.HTTP_MALFORMED),
    "HTTP/2": (says(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Reason.HTTP_MALFORMED),
    "HTTP/2 settings": (says(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80"), Reason.HTTP_MALFORMED),
    "HTTP/3.0 status": (says(b"HTTP/3.0 200 OK\r\n" + LENGTH + b"\r\n" + BODY), Reason.HTTP_MALFORMED),
    "TLS alert": (says(b"\x15\x03\x01\x00\x02\x02\x46"), Reason.HTTP_MALFORMED),
    "SSH": (says(b"SSH-2.0-OpenSSH_9.6\r\n"), Reason.HTTP_MALFORMED),
    "a request in return": (says(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Reason.HTTP_MALFORMED),
    "null byte in a header": (says(OK + b"X-A: a\x00b\r\n" + LENGTH + b"\r\n" + BODY), Reason.HTTP_MALFORMED),
    "control byte in a header's name": (says(OK + b"X\x01A: b\r\n" + LENGTH + b"\r\n" + BODY), Reason.HTTP_MALFORMED),
    "header without a colon": (says(OK + b"What is this\r\n" + LENGTH + b"\r\n" + BODY), Reason.HTTP_MALFORMED),
    "flood of headers": (says(OK + b"X-A: a\r\n" * 5000 + LENGTH + b"\r\n" + BODY), Reason.HTTP_MALFORMED),
    "header line of 1 MB": (says(OK + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n" + BODY), Reason.HTTP_MALFORMED),
    "endless header line": (for_ever(b"a" * 8000, 0.0, OK + b"X-A: "), Reason.HTTP_MALFORMED),
    "endless headers": (for_ever(b"X-A: a\r\n" * 100, 0.0, OK), Reason.HTTP_MALFORMED),
    "endless body": (for_ever(b"a" * 8000, 0.0, OK + b"\r\n"), Reason.BODY_TOO_LARGE),
    "endless chunks": (for_ever(b"1000\r\n" + b"a" * 4096 + b"\r\n", 0.0, CHUNKED), Reason.BODY_TOO_LARGE),
    "endless chunk extension": (for_ever(b"a" * 8000, 0.0, CHUNKED + b"2;"), Reason.TOTAL_TIMEOUT),
    "endless trailers": (for_ever(b"X-A: a\r\n" * 100, 0.0, CHUNKED + b"1\r\na\r\n0\r\n"), Reason.HTTP_MALFORMED),
    "endless 100 Continue": (for_ever(b"HTTP/1.1 100 Continue\r\n\r\n", 0.01), Reason.READ_TIMEOUT),
    "silence": (says(30.0), Reason.READ_TIMEOUT),
    "headers a byte at a time": (for_ever(b"a", 0.05, OK + b"X-A: "), Reason.READ_TIMEOUT),
    "silence in the headers": (says(OK + b"X-A: ", 30.0), Reason.READ_TIMEOUT),
    "silence in the body": (says(OK + LENGTH + b"\r\n" + BODY[:3], 30.0), Reason.READ_TIMEOUT),
    "silence in the chunks": (says(CHUNKED + b"4\r\nab", 30.0), Reason.READ_TIMEOUT),
    "silence in place of the end": (says(OK + b"\r\n" + BODY, 30.0), Reason.READ_TIMEOUT),
    "trickle": (for_ever(b"a", 0.05, OK + b"Content-Length: 90000\r\n\r\n"), Reason.TOTAL_TIMEOUT),
    "trickling chunks": (for_ever(b"1\r\na\r\n", 0.05, CHUNKED), Reason.TOTAL_TIMEOUT),
    "redirect without a Location": (says(b"HTTP/1.1 302 Found\r\n\r\n"), Reason.HTTP_UNEXPECTED_STATUS),
    "Location of another kind": (says(b"HTTP/1.1 302 X\r\nLocation: mailto:a@b\r\n\r\n"), Reason.UNSUPPORTED_SCHEME),
    "empty Location": (says(b"HTTP/1.1 302 X\r\nLocation: \r\n\r\n"), Reason.INVALID_URL),
    "Location that is no URL": (says(b"HTTP/1.1 302 X\r\nLocation: http://[::g]/\r\n\r\n"), Reason.INVALID_URL),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_fault_ends_in_its_reason_when_a_server_commits_it(web: RawWeb, fault: str):
    script, reason = BROKEN[fault]
    started = time.monotonic()
    got = fetch_one(web.handle("/x", script), first_byte_timeout_s=0.5, idle_timeout_s=0.5, total_timeout_s=1.0)
    assert (got.reason, got.body) == (reason, None)
    # Not when the server is done: some never are.
    assert time.monotonic() - started < 5.0


def test_non_ascii_location_is_followed_when_it_comes_as_raw_bytes(web: RawWeb):
    web.handle("/x", says(b"HTTP/1.1 302 X\r\nLocation: /caf\xc3\xa9/\xe9.jpg\r\nContent-Length: 0\r\n\r\n"))
    web.on("/caf%C3%A9/%E9.jpg", body=BODY)
    got = fetch_one(web.url("/x"))
    assert (got.body, got.final_url) == (BODY, web.url("/caf%C3%A9/%E9.jpg"))


def test_redirects_end_when_each_leads_to_another_url(web: RawWeb):
    async def further(exchange: Exchange) -> None:
        web.handle(f"{exchange.path}a", further)
        await exchange.respond(302, headers={"Location": f"{exchange.path}a"})

    got = fetch_one(web.handle("/a", further), max_redirects=10)
    assert (got.reason, got.redirects, len(web.requests)) == (Reason.TOO_MANY_REDIRECTS, 10, 11)


def test_total_deadline_holds_when_it_is_spent_on_redirects(web: RawWeb):
    async def slowly(exchange: Exchange) -> None:
        await asyncio.sleep(0.2)
        web.handle(f"{exchange.path}a", slowly)
        await exchange.respond(302, headers={"Location": f"{exchange.path}a"})

    started = time.monotonic()
    got = fetch_one(web.handle("/a", slowly), max_redirects=50, total_timeout_s=0.5)
    assert (got.reason, got.redirects) == (Reason.TOTAL_TIMEOUT, 1)
    assert 0.45 < time.monotonic() - started < 1.0


def test_request_is_sent_again_when_an_idle_connection_was_closed_under_it(web: RawWeb):
    async def serves_once(exchange: Exchange) -> None:
        if exchange.nth_on_connection > 1:
            exchange.reset() if exchange.path == "/reset" else exchange.hang_up()
        else:
            await exchange.respond(200, BODY)

    for path in ("/a", "/fin", "/reset"):
        web.handle(path, serves_once)
    for path in ("/fin", "/reset"):
        before = web.connections
        first, second = fetch_all([web.url("/a"), web.url(path)])
        assert (first.body, second.body) == (BODY, BODY)
        assert (second.attempts, web.connections - before) == (1, 2)


def test_request_is_sent_again_once_when_the_new_connection_breaks_too(web: RawWeb):
    async def serves_a(exchange: Exchange) -> None:
        await exchange.respond(200, BODY)

    web.handle("/a", serves_a)
    web.handle("/b", says())
    first, second = fetch_all([web.url("/a"), web.url("/b")])
    assert (first.body, second.reason) == (BODY, Reason.CONNECTION_RESET)
    assert (second.attempts, web.asked["/b"]) == (1, 2)


def test_request_is_not_sent_again_when_a_new_connection_breaks(web: RawWeb):
    got = fetch_one(web.handle("/x", says()))
    assert (got.reason, got.attempts, web.asked["/x"]) == (Reason.CONNECTION_RESET, 1, 1)


def test_connection_is_used_again_when_the_response_was_whole(web: RawWeb):
    web.on("/a", body=BODY)
    web.on("/missing", 404, b"no")
    got = fetch_all([web.url("/a"), web.url("/missing"), web.url("/a")])
    assert [item.status for item in got] == [200, 404, 200]
    assert web.connections == 1
    assert got[0].timing.connect is not None
    assert got[0].timing.connect > 0
    assert (got[2].timing.dns, got[2].timing.connect) == (0.0, 0.0)


def test_connection_is_not_used_again_when_a_body_was_longer_than_announced(web: RawWeb):
    web.handle(
        "/long", says(OK + b"Content-Length: 3\r\n\r\nabc", 0.1, b"defHTTP/1.1 200 OK\r\n\r\nevil", hang_up=False)
    )
    web.on("/a", body=BODY)
    first, second = fetch_all([web.url("/long"), web.url("/a")])
    assert first.body == b"abc"
    assert second.body == BODY


def test_connection_is_used_again_when_a_small_body_that_nobody_wants_comes_late(web: RawWeb):
    missing = b"HTTP/1.1 404 X\r\nContent-Length: 30000\r\n\r\n"
    web.handle("/missing", says(missing, 0.05, b"x" * 30_000, hang_up=False))
    web.handle(
        "/moved", says(b"HTTP/1.1 302 X\r\nLocation: /a\r\nContent-Length: 5\r\n\r\n", 0.05, b"moved", hang_up=False)
    )
    web.on("/a", body=BODY)
    got = fetch_all([web.url("/missing"), web.url("/moved")])
    assert [item.status for item in got] == [404, 200]
    assert web.connections == 1


@pytest.mark.parametrize("length", [30_000, 3_000_000])
def test_reason_is_the_status_when_the_body_that_nobody_wants_never_comes(web: RawWeb, length: int):
    head = f"HTTP/1.1 404 X\r\nContent-Length: {length}\r\n\r\nsome".encode()
    got = fetch_one(web.handle("/x", says(head, 30.0)), idle_timeout_s=9.0, total_timeout_s=9.0)
    assert (got.reason, got.detail) == (Reason.HTTP_NOT_FOUND, "status 404")
    assert got.seconds < 1.0
