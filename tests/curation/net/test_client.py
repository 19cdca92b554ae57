import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
import time
from email.utils import formatdate
from pathlib import Path

import pytest
from raw_web import Exchange, RawWeb
from web_clients import fetch_one as fetch

from schemas.outcomes import FailureReason as Reason

BODY = b"\xff\xd8 not really a picture"


def test_body_and_response_are_returned_when_all_is_well(web: RawWeb):
    got = fetch(web.on("/a.jpg", body=BODY, headers={"Content-Type": "image/jpeg"}))
    assert (got.body, got.reason, got.status, got.redirects, got.content_type) == (BODY, None, 200, 0, "image/jpeg")
    assert (got.final_url, got.attempts) == (web.url("/a.jpg"), 1)


def test_user_agent_is_ours_and_no_credentials_are_sent_when_the_url_has_some(web: RawWeb):
    web.on("/a.jpg", body=BODY)
    got = fetch(f"http://user:secret@127.0.0.1:{web.port}/a.jpg#part")
    _, headers = web.requests[0]
    assert headers["user-agent"] == "test-bot/1.0 (+mailto:me@example.org)"
    assert "authorization" not in headers
    assert got.final_url == web.url("/a.jpg")


def test_proxy_of_the_environment_is_ignored(web: RawWeb, monkeypatch: pytest.MonkeyPatch):
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
def test_status_becomes_the_reason_when_it_is_no_success(web: RawWeb, status: int, reason: Reason):
    got = fetch(web.on("/x", status))
    assert (got.reason, got.status, got.body) == (reason, status, None)


@pytest.mark.parametrize("status", [404, 401])
def test_request_is_not_repeated_when_it_cannot_heal(web: RawWeb, status: int):
    got = fetch(web.on("/x", status), retries=3)
    assert (got.attempts, web.asked["/x"]) == (1, 1)


def test_body_arrives_when_a_500_heals(web: RawWeb):
    async def heals(exchange: Exchange) -> None:
        await exchange.respond(500 if exchange.nth < 3 else 200, BODY)

    got = fetch(web.handle("/x", heals), retries=2)
    assert (got.body, got.attempts, got.status) == (BODY, 3, 200)


def test_retry_after_is_waited_for_when_it_is_in_seconds(web: RawWeb):
    async def later(exchange: Exchange) -> None:
        await exchange.respond(429 if exchange.nth == 1 else 200, BODY, {"Retry-After": "1"})

    got = fetch(web.handle("/x", later), retries=1)
    assert got.body == BODY
    assert 1.0 <= got.seconds < 2.0


@pytest.mark.parametrize("ahead_s", [-86_400, 86_400], ids=["slow", "fast"])
def test_retry_after_is_waited_for_when_it_is_a_date_and_the_server_s_clock_is_another(web: RawWeb, ahead_s: int):
    async def later(exchange: Exchange) -> None:
        now = int(time.time()) + ahead_s
        dates = {"Date": formatdate(now, usegmt=True), "Retry-After": formatdate(now + 1, usegmt=True)}
        await exchange.respond(503 if exchange.nth == 1 else 200, BODY, dates)

    got = fetch(web.handle("/x", later), retries=1)
    assert got.body == BODY
    assert 1.0 <= got.seconds < 2.0


def test_host_is_not_asked_again_when_it_wants_a_longer_rest_than_allowed(web: RawWeb):
    got = fetch(web.on("/x", 429, headers={"Retry-After": "3600"}), retries=5)
    assert (got.reason, got.attempts) == (Reason.HTTP_TOO_MANY_REQUESTS, 1)


def test_redirects_are_followed_when_every_hop_is_allowed(web: RawWeb):
    web.on("/c d.jpg", body=BODY)
    web.on("/c%20d.jpg", body=BODY)
    web.redirect("/a", "b?x=1", 301)
    web.redirect("/b?x=1", f"//127.0.0.2:{web.port}/c%20d.jpg", 308)
    got = fetch(web.url("/a"))
    assert (got.body, got.redirects) == (BODY, 2)
    assert got.final_url == web.url("/c%20d.jpg", "127.0.0.2")


def test_loop_and_length_are_told_apart_when_redirects_do_not_end(web: RawWeb):
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
def test_redirect_is_refused_when_it_leads_astray(web: RawWeb, location: str, reason: Reason):
    got = fetch(web.redirect("/x", location), ports=(80, 443, web.port))
    assert (got.reason, got.status, got.final_url) == (reason, 302, web.url("/x"))


def test_name_is_refused_when_it_resolves_to_loopback_and_that_is_not_allowed(web: RawWeb):
    url = web.on("/x", body=BODY).replace("127.0.0.1", "localhost")
    refused = fetch(url, allow=())
    assert refused.reason is Reason.BLOCKED_ADDRESS
    assert refused.detail is not None
    assert refused.detail.startswith("localhost is ")
    assert fetch(url, allow=("127.0.0.0/8", "::1/128")).body == BODY


def test_redirect_is_refused_when_its_name_resolves_to_an_address_that_is_not_allowed(web: RawWeb):
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
def test_url_fails_with_its_reason_when_it_leads_nowhere(url: str | None, reason: Reason):
    got = fetch(url, allow=())
    assert got.reason in ((reason, Reason.DNS_FAILED) if reason is Reason.DNS_NOT_FOUND else (reason,))
    assert (got.status, got.final_url, got.redirects) == (None, None, None)


def test_connection_is_refused_when_nobody_listens():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        got = fetch(f"http://127.0.0.1:{probe.getsockname()[1]}/", retries=1)
    assert (got.reason, got.detail, got.attempts) == (Reason.CONNECTION_REFUSED, "Connection refused", 2)


def test_connect_times_out_when_the_backlog_is_full():
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        got = fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/", connect_timeout_s=0.2)
    assert got.reason is Reason.CONNECT_TIMEOUT


def test_total_deadline_ends_it_when_a_body_trickles(web: RawWeb):
    async def trickle(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not exchange.writer.is_closing():
            await exchange.send(b"x")
            await asyncio.sleep(0.02)

    got = fetch(web.handle("/x", trickle), total_timeout_s=0.3, retries=3)
    assert (got.reason, got.attempts, got.status) == (Reason.TOTAL_TIMEOUT, 1, 200)
    assert got.seconds < 1.0


def test_read_deadline_ends_it_when_a_server_falls_silent(web: RawWeb):
    async def silent(exchange: Exchange) -> None:
        await asyncio.sleep(30)

    async def stalls(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        await asyncio.sleep(30)

    for handler in (silent, stalls):
        assert (
            fetch(web.handle("/x", handler), first_byte_timeout_s=0.1, idle_timeout_s=0.1).reason is Reason.READ_TIMEOUT
        )


def test_robots_txt_is_obeyed_when_its_content_encoding_names_none_and_forbids_when_it_cannot_be_read(web: RawWeb):
    rules = b"User-agent: *\nDisallow: /private/\n"
    url = web.on("/private/a", body=BODY)
    web.on("/robots.txt", body=rules, headers={"Content-Encoding": "utf-8"})
    assert fetch(url, robots=True).reason is Reason.ROBOTS_DISALLOWED
    web.on("/robots.txt", body=rules, headers={"Content-Encoding": "gzip"})
    assert fetch(web.on("/a", body=BODY), robots=True).reason is Reason.BAD_CONTENT_ENCODING


def test_owner_is_obeyed_when_a_header_opts_out(web: RawWeb):
    url = web.on("/x", body=BODY, headers={"X-Robots-Tag": "noarchive, NoImageAI"})
    refused = fetch(url)
    assert (refused.reason, refused.detail, refused.body) == (Reason.OPTED_OUT, "X-Robots-Tag: noimageai", None)
    assert fetch(url, robots_tags=("noai",)).body == BODY


def test_robots_txt_is_obeyed_at_every_hop_when_asked_to(web: RawWeb):
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
def test_missing_rules_allow_and_overloaded_ones_forbid(web: RawWeb, status: int, reason: Reason | None):
    web.on("/robots.txt", status)
    got = fetch(web.on("/a.jpg", body=BODY), robots=True)
    assert (got.reason, got.body) == (reason, None if reason else BODY)


def test_failure_is_the_connections_own_when_robots_txt_cannot_be_reached(web: RawWeb):
    async def reset(exchange: Exchange) -> None:
        exchange.reset()

    web.handle("/robots.txt", reset)
    got = fetch(web.on("/a.jpg", body=BODY), robots=True)
    assert (got.reason, web.asked["/a.jpg"]) == (Reason.CONNECTION_RESET, 0)


def test_tls_fails_when_the_certificate_is_nobodys(tmp_path: Path):
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
