import asyncio
import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import time
import zlib
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import pytest
from pictures import gradient, saved
from raw_web import Exchange, RawWeb
from web_clients import fetch_one

from curation.net.fetched import Fetched
from schemas.outcomes import FailureReason as Reason

BODY = b"\xff\xd8 not really a picture"
Fetch = Callable[..., Fetched]


@pytest.fixture
def fetch() -> Fetch:
    """Fetches one URL with a client of its own."""
    return fetch_one


def test_body_and_response_are_returned_when_all_is_well(web: RawWeb, fetch: Fetch):
    got = fetch(web.on("/a.jpg", body=BODY, headers={"Content-Type": "image/jpeg"}))
    assert (got.body, got.reason, got.status, got.redirects, got.content_type) == (BODY, None, 200, 0, "image/jpeg")
    assert (got.final_url, got.attempts) == (web.url("/a.jpg"), 1)


def test_user_agent_is_ours_and_no_credentials_are_sent_when_the_url_has_some(web: RawWeb, fetch: Fetch):
    web.on("/a.jpg", body=BODY)
    got = fetch(f"http://user:secret@127.0.0.1:{web.port}/a.jpg#part")
    _, headers = web.requests[0]
    assert headers["user-agent"] == "test-bot/1.0 (+mailto:me@example.org)"
    assert "authorization" not in headers
    assert got.final_url == web.url("/a.jpg")


def test_proxy_of_the_environment_is_ignored(web: RawWeb, fetch: Fetch, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert fetch(web.on("/a.jpg", body=BODY)).body == BODY


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (204, Reason.HTTP_UNEXPECTED_STATUS),
        (304, Reason.HTTP_UNEXPECTED_STATUS),
        (302, Reason.HTTP_UNEXPECTED_STATUS),
        (400, Reason.HTTP_CLIENT_ERROR),
        (401, Reason.HTTP_UNAUTHORIZED),
        (403, Reason.HTTP_FORBIDDEN),
        (404, Reason.HTTP_NOT_FOUND),
        (410, Reason.HTTP_GONE),
        (429, Reason.HTTP_TOO_MANY_REQUESTS),
        (503, Reason.HTTP_SERVER_ERROR),
    ],
)
def test_status_becomes_the_reason_when_it_is_no_success(web: RawWeb, fetch: Fetch, status: int, reason: Reason):
    got = fetch(web.on("/x", status))
    assert (got.reason, got.status, got.body) == (reason, status, None)


@pytest.mark.parametrize("status", [404, 401])
def test_request_is_not_repeated_when_it_cannot_heal(web: RawWeb, fetch: Fetch, status: int):
    got = fetch(web.on("/x", status), retries=3)
    assert (got.attempts, web.asked["/x"]) == (1, 1)


def test_body_arrives_when_a_500_heals(web: RawWeb, fetch: Fetch):
    async def heals(exchange: Exchange) -> None:
        await exchange.respond(500 if exchange.nth < 3 else 200, BODY)

    got = fetch(web.handle("/x", heals), retries=2)
    assert (got.body, got.attempts, got.status) == (BODY, 3, 200)


def test_retry_after_is_waited_for_when_it_is_in_seconds(web: RawWeb, fetch: Fetch):
    async def later(exchange: Exchange) -> None:
        await exchange.respond(429 if exchange.nth == 1 else 200, BODY, {"Retry-After": "1"})

    got = fetch(web.handle("/x", later), retries=1)
    assert got.body == BODY
    assert 1.0 <= got.seconds < 2.0


@pytest.mark.parametrize("ahead_s", [-86_400, 86_400], ids=["slow", "fast"])
def test_retry_after_is_waited_for_when_it_is_a_date_and_the_server_s_clock_is_another(
    web: RawWeb, fetch: Fetch, ahead_s: int
):
    async def later(exchange: Exchange) -> None:
        now = int(time.time()) + ahead_s
        dates = {"Date": formatdate(now, usegmt=True), "Retry-After": formatdate(now + 1, usegmt=True)}
        await exchange.respond(503 if exchange.nth == 1 else 200, BODY, dates)

    got = fetch(web.handle("/x", later), retries=1)
    assert got.body == BODY
    assert 1.0 <= got.seconds < 2.0


def test_host_is_not_asked_again_when_it_wants_a_longer_rest_than_allowed(web: RawWeb, fetch: Fetch):
    got = fetch(web.on("/x", 429, headers={"Retry-After": "3600"}), retries=5)
    assert (got.reason, got.attempts) == (Reason.HTTP_TOO_MANY_REQUESTS, 1)


def test_redirects_are_followed_when_every_hop_is_allowed(web: RawWeb, fetch: Fetch):
    web.on("/c d.jpg", body=BODY)
    web.on("/c%20d.jpg", body=BODY)
    web.redirect("/a", "b?x=1", 301)
    web.redirect("/b?x=1", f"//127.0.0.2:{web.port}/c%20d.jpg", 308)
    got = fetch(web.url("/a"))
    assert (got.body, got.redirects) == (BODY, 2)
    assert got.final_url == web.url("/c%20d.jpg", "127.0.0.2")


def test_loop_and_length_are_told_apart_when_redirects_do_not_end(web: RawWeb, fetch: Fetch):
    web.redirect("/loop", "/back")
    web.redirect("/back", "/loop")
    for step in range(9):
        web.redirect(f"/far{step}", f"/far{step + 1}")
    loop, far = fetch(web.url("/loop")), fetch(web.url("/far0"))
    assert (loop.reason, loop.redirects) == (Reason.REDIRECT_LOOP, 1)
    assert (far.reason, far.redirects, web.asked["/far4"]) == (Reason.TOO_MANY_REDIRECTS, 3, 0)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data/", Reason.BLOCKED_ADDRESS),
        ("http://10.0.0.7:8080/x.jpg", Reason.BLOCKED_ADDRESS),
        ("http://[::ffff:10.0.0.7]/x.jpg", Reason.BLOCKED_ADDRESS),
        ("http://0xa000007/x.jpg", Reason.BLOCKED_ADDRESS),
        ("http://8.8.8.8:22/", Reason.BLOCKED_PORT),
        ("ftp://example.org/x.jpg", Reason.UNSUPPORTED_SCHEME),
        ("http://[::1/x.jpg", Reason.INVALID_URL),
    ],
)
def test_redirect_is_refused_when_it_leads_astray(web: RawWeb, fetch: Fetch, location: str, reason: Reason):
    got = fetch(web.redirect("/x", location), ports=(80, 443, web.port))
    assert (got.reason, got.status, got.final_url) == (reason, 302, web.url("/x"))


def test_name_is_refused_when_it_resolves_to_loopback_and_that_is_not_allowed(web: RawWeb, fetch: Fetch):
    url = web.on("/x", body=BODY).replace("127.0.0.1", "localhost")
    refused = fetch(url, allow=())
    assert refused.reason is Reason.BLOCKED_ADDRESS
    assert refused.detail is not None
    assert refused.detail.startswith("localhost is ")
    assert fetch(url, allow=("127.0.0.0/8", "::1/128")).body == BODY


def test_redirect_is_refused_when_its_name_resolves_to_an_address_that_is_not_allowed(web: RawWeb, fetch: Fetch):
    web.on("/y", body=BODY)
    web.redirect("/name", f"http://localhost:{web.port}/y")
    web.redirect("/octal", f"http://0177.0.0.1:{web.port}/y")
    by_name, by_octal = (fetch(web.url(path, "127.0.0.2"), allow=("127.0.0.2/32",)) for path in ("/name", "/octal"))
    assert (by_name.reason, by_octal.reason) == (Reason.BLOCKED_ADDRESS, Reason.BLOCKED_ADDRESS)
    assert by_octal.detail == "127.0.0.1"
    assert web.asked["/y"] == 0


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (None, Reason.INVALID_URL),
        ("", Reason.INVALID_URL),
        ("example.org/a.jpg", Reason.INVALID_URL),
        ("http://example.org:99999/", Reason.INVALID_URL),
        ("data:image/png;base64,xxxx", Reason.UNSUPPORTED_SCHEME),
        ("file:///etc/passwd", Reason.UNSUPPORTED_SCHEME),
        ("http://2130706433/", Reason.BLOCKED_ADDRESS),
        ("http://no-such-host.invalid/", Reason.DNS_NOT_FOUND),
        ("http://" + "a" * 70 + ".example/", Reason.INVALID_URL),
    ],
)
def test_url_fails_with_its_reason_when_it_leads_nowhere(fetch: Fetch, url: str | None, reason: Reason):
    got = fetch(url, allow=())
    assert got.reason in ((reason, Reason.DNS_FAILED) if reason is Reason.DNS_NOT_FOUND else (reason,))
    assert (got.status, got.final_url, got.redirects) == (None, None, None)


def test_connection_is_refused_when_nobody_listens(fetch: Fetch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        got = fetch(f"http://127.0.0.1:{probe.getsockname()[1]}/", retries=1)
    assert (got.reason, got.detail, got.attempts) == (Reason.CONNECTION_REFUSED, "Connection refused", 2)


def test_connect_times_out_when_the_backlog_is_full(fetch: Fetch):
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        got = fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/", connect_timeout_s=0.2)
    assert got.reason is Reason.CONNECT_TIMEOUT


def test_reset_is_told_from_truncation_when_the_connection_breaks(web: RawWeb, fetch: Fetch):
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


def test_body_is_whole_when_it_is_chunked_or_ended_by_the_connection(web: RawWeb, fetch: Fetch):
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
def test_response_is_malformed_when_it_is_no_http(web: RawWeb, fetch: Fetch, answer: bytes):
    async def handler(exchange: Exchange) -> None:
        await exchange.send(answer)
        exchange.hang_up()

    assert fetch(web.handle("/x", handler)).reason is Reason.HTTP_MALFORMED


def test_total_deadline_ends_it_when_a_body_trickles(web: RawWeb, fetch: Fetch):
    async def trickle(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not exchange.writer.is_closing():
            await exchange.send(b"x")
            await asyncio.sleep(0.02)

    got = fetch(web.handle("/x", trickle), total_timeout_s=0.3, retries=3)
    assert (got.reason, got.attempts, got.status) == (Reason.TOTAL_TIMEOUT, 1, 200)
    assert got.seconds < 1.0


def test_read_deadline_ends_it_when_a_server_falls_silent(web: RawWeb, fetch: Fetch):
    async def silent(exchange: Exchange) -> None:
        await asyncio.sleep(30)

    async def stalls(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        await asyncio.sleep(30)

    for handler in (silent, stalls):
        assert (
            fetch(web.handle("/x", handler), first_byte_timeout_s=0.1, idle_timeout_s=0.1).reason is Reason.READ_TIMEOUT
        )


def test_body_is_refused_when_it_is_too_long_or_empty(web: RawWeb, fetch: Fetch):
    async def undeclared(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while not exchange.writer.is_closing():
            await exchange.send(b"x" * 4000)

    assert fetch(web.on("/a", body=b"x" * 1001), max_body_bytes=1000).reason is Reason.BODY_TOO_LARGE
    assert fetch(web.on("/b", body=b"x" * 1000), max_body_bytes=1000).body == b"x" * 1000
    assert fetch(web.handle("/c", undeclared), max_body_bytes=50_000).reason is Reason.BODY_TOO_LARGE
    assert fetch(web.on("/d")).reason is Reason.EMPTY_BODY


def test_content_encoding_is_undone_within_the_cap_when_there_is_one(web: RawWeb, fetch: Fetch):
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


def test_body_is_kept_as_it_came_when_content_encoding_names_no_encoding_or_lies(web: RawWeb, fetch: Fetch):
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


def test_robots_txt_is_obeyed_when_its_content_encoding_names_none_and_forbids_when_it_cannot_be_read(
    web: RawWeb, fetch: Fetch
):
    rules = b"User-agent: *\nDisallow: /private/\n"
    url = web.on("/private/a", body=BODY)
    web.on("/robots.txt", body=rules, headers={"Content-Encoding": "utf-8"})
    assert fetch(url, robots=True).reason is Reason.ROBOTS_DISALLOWED
    web.on("/robots.txt", body=rules, headers={"Content-Encoding": "gzip"})
    assert fetch(web.on("/a", body=BODY), robots=True).reason is Reason.BAD_CONTENT_ENCODING


def test_owner_is_obeyed_when_a_header_opts_out(web: RawWeb, fetch: Fetch):
    url = web.on("/x", body=BODY, headers={"X-Robots-Tag": "noarchive, NoImageAI"})
    refused = fetch(url)
    assert (refused.reason, refused.detail, refused.body) == (Reason.OPTED_OUT, "X-Robots-Tag: noimageai", None)
    assert fetch(url, robots_tags=("noai",)).body == BODY


def test_robots_txt_is_obeyed_at_every_hop_when_asked_to(web: RawWeb, fetch: Fetch):
    web.on("/robots.txt", body=b"User-agent: *\nDisallow: /private/\nUser-agent: test-bot\nDisallow: /bots/\n")
    web.on("/private/a.jpg", body=BODY)
    web.redirect("/a.jpg", "/bots/a.jpg")
    web.on("/bots/a.jpg", body=BODY)
    got = fetch(web.url("/a.jpg"), robots=True)
    assert (got.reason, got.detail) == (Reason.ROBOTS_DISALLOWED, "robots.txt, line 4: Disallow: /bots/")
    assert fetch(web.url("/private/a.jpg"), robots=True).body == BODY
    assert web.asked["/bots/a.jpg"] == 0


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, None), (403, None), (503, Reason.ROBOTS_DISALLOWED), (429, Reason.ROBOTS_DISALLOWED)],
)
def test_missing_rules_allow_and_overloaded_ones_forbid(web: RawWeb, fetch: Fetch, status: int, reason: Reason | None):
    web.on("/robots.txt", status)
    got = fetch(web.on("/a.jpg", body=BODY), robots=True)
    assert (got.reason, got.body) == (reason, None if reason else BODY)


def test_failure_is_the_connections_own_when_robots_txt_cannot_be_reached(web: RawWeb, fetch: Fetch):
    async def reset(exchange: Exchange) -> None:
        exchange.reset()

    web.handle("/robots.txt", reset)
    got = fetch(web.on("/a.jpg", body=BODY), robots=True)
    assert (got.reason, web.asked["/a.jpg"]) == (Reason.CONNECTION_RESET, 0)


def test_tls_fails_when_the_certificate_is_nobodys(fetch: Fetch, tmp_path: Path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), capture_output=True, check=True, cwd=tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_shake_hands, args=(listener, context), daemon=True).start()
        got = fetch(f"https://127.0.0.1:{listener.getsockname()[1]}/")
    assert got.reason is Reason.TLS_FAILED


def _shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = listener.accept()
    try:
        context.wrap_socket(connection, server_side=True)
    except OSError:
        connection.close()
