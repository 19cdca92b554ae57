"""TLS over real sockets: nothing is taken from a server that cannot prove who it is."""

import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from raw_web import RawWeb
from web_clients import fetch_one

from schemas.outcomes import FailureReason as Reason

BODY = b"some bytes"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@contextmanager
def _serving(context: ssl.SSLContext) -> Iterator[RawWeb]:
    web = RawWeb(context)
    web.on("/x", body=BODY)
    try:
        yield web
    finally:
        web.close()


def _yesterday() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)


CERTIFICATES: dict[str, tuple[Callable[[trustme.CA], trustme.LeafCert], str]] = {
    "another host": (lambda ca: ca.issue_cert("other.example"), "IP address mismatch"),
    "expired": (lambda ca: ca.issue_cert("127.0.0.1", not_after=_yesterday()), "expired"),
    "not yet valid": (
        lambda ca: ca.issue_cert("127.0.0.1", not_before=_yesterday() + datetime.timedelta(days=3)),
        "not yet valid",
    ),
    "unknown authority": (lambda _: trustme.CA().issue_cert("127.0.0.1"), "unable to get local issuer"),
}


@pytest.mark.parametrize("fault", CERTIFICATES)
def test_tls_fails_when_a_certificate_proves_nothing(fault: str, authority: trustme.CA, ca_file: str):
    issue, detail = CERTIFICATES[fault]
    with _serving(_context(issue(authority))) as web:
        got = fetch_one(web.url("/x"), ca_file=ca_file, retries=2)
        assert (got.reason, got.body, got.attempts) == (Reason.TLS_FAILED, None, 1)
        assert detail in (got.detail or "")
        assert web.asked["/x"] == 0


def test_tls_fails_when_a_certificate_signs_itself(tmp_path: Path, ca_file: str):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem = tmp_path / "own.pem"
    pem.write_bytes(authority.private_key_pem.bytes() + authority.cert_pem.bytes())
    context.load_cert_chain(pem)
    with _serving(context) as web:
        got = fetch_one(web.url("/x"), ca_file=ca_file)
    assert (got.reason, got.detail) == (Reason.TLS_FAILED, "self-signed certificate")


def test_body_comes_when_the_authority_is_trusted_and_does_not_when_it_is_not(authority: trustme.CA, ca_file: str):
    with _serving(_context(authority.issue_cert("127.0.0.1", "localhost"))) as web:
        got = fetch_one(web.url("/x"), ca_file=ca_file)
        assert (got.body, got.reason) == (BODY, None)
        assert got.timing.connect is not None
        assert got.timing.connect > 0.0
        assert fetch_one(web.url("/x")).reason is Reason.TLS_FAILED


def test_redirect_is_refused_when_it_leads_to_a_host_that_cannot_prove_itself(authority: trustme.CA, ca_file: str):
    with _serving(_context(authority.issue_cert("127.0.0.1"))) as web:
        web.redirect("/a", web.url("/x", "127.0.0.2"))
        got = fetch_one(web.url("/a"), ca_file=ca_file)
        assert (got.reason, got.status, web.asked["/x"]) == (Reason.TLS_FAILED, 302, 0)


def test_redirect_is_followed_when_it_leads_away_from_tls(authority: trustme.CA, ca_file: str, web: RawWeb):
    plain = web.on("/plain", body=BODY)
    with _serving(_context(authority.issue_cert("127.0.0.1"))) as secure:
        secure.redirect("/a", plain)
        got = fetch_one(secure.url("/a"), ca_file=ca_file)
        assert (got.body, got.final_url, got.redirect_chain) == (BODY, plain, [secure.url("/a")])


ANSWERS = {
    "plain HTTP": (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", {Reason.TLS_FAILED}),
    "garbage": (b"\x00" * 50, {Reason.TLS_FAILED}),
    "an alert that the version is too new": (b"\x15\x03\x01\x00\x02\x02\x46", {Reason.TLS_FAILED}),
    "an alert": (b"\x15\x03\x01\x00\x02\x02\x28", {Reason.TLS_FAILED}),
    "nothing": (b"", {Reason.CONNECTION_RESET, Reason.TLS_FAILED}),
}


@pytest.mark.parametrize("fault", ANSWERS)
def test_tls_fails_when_the_handshake_is_answered_with_something_else(fault: str):
    answer, reasons = ANSWERS[fault]

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        got = fetch_one(f"https://127.0.0.1:{listener.getsockname()[1]}/")
    assert got.reason in reasons
    assert got.status is None


def test_connect_times_out_when_a_handshake_is_never_answered():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        got = fetch_one(f"https://127.0.0.1:{listener.getsockname()[1]}/", connect_timeout_s=0.2)
    assert (got.reason, got.detail) == (Reason.CONNECT_TIMEOUT, "more than 0.2 s")
    assert got.seconds < 0.8


def test_response_is_malformed_when_a_plain_request_meets_a_tls_server(authority: trustme.CA):
    with _serving(_context(authority.issue_cert("127.0.0.1"))) as web:
        got = fetch_one(web.url("/x").replace("https:", "http:"))
    assert got.reason in (Reason.HTTP_MALFORMED, Reason.CONNECTION_RESET)
