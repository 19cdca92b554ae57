"""Private addresses in every spelling, over the real client: nothing is connected to, and a listener would notice."""

import asyncio
import contextlib
import socket

import pytest
from name_server import NameServer
from raw_web import Exchange, RawWeb
from web_clients import fetch_all, fetch_one

from schemas.outcomes import FailureReason as Reason

BODY = b"some bytes"

# Hosts that some program or other takes for an address that is not public; None where the URL is none at all.
LOOPBACK = {
    "127.0.0.1": "dotted quad",
    "127.1": "short",
    "127.0.1": "short",
    "2130706433": "decimal",
    "0x7f000001": "hexadecimal",
    "0X7F.0x0.0x0.0x1": "hexadecimal by byte",
    "0x7f.1": "mixed and short",
    "017700000001": "octal",
    "0177.0.0.1": "octal by byte",
    "0000177.0000.0000.0001": "octal with zeros",
    "127.0.0.1.": "trailing dot",
    "0x7f.1.": "trailing dot",
    "１２７.０.０.１": "full-width digits",
    "①②⑦.⓪.⓪.①": "circled digits",
    "127。0。0。1": "ideographic full stops",
    "127．0．0．1": "full-width full stops",
    "127｡0｡0｡1": "half-width ideographic full stops",
    "[::1]": "IPv6",
    "[0:0:0:0:0:0:0:1]": "IPv6 in full",
    "[::ffff:127.0.0.1]": "IPv4-mapped",
    "[::ffff:7f00:1]": "IPv4-mapped, hexadecimal",
    "[0:0:0:0:0:FFFF:127.0.0.1]": "IPv4-mapped in full",
    "[::127.0.0.1]": "IPv4-compatible",
    "[64:ff9b::127.0.0.1]": "NAT64",
    "[64:ff9b:1::127.0.0.1]": "NAT64 of local use",
    "[2002:7f00:1::]": "6to4",
    "[2001:0:5ef5:79fb:0:0:80ff:fffe]": "Teredo",
    "localhost": "name",
    "LOCALHOST.": "name with a trailing dot",
    "ｌｏｃａｌｈｏｓｔ": "full-width name",
}
ELSEWHERE = {
    "169.254.169.254": "link-local, where clouds keep credentials",
    "0251.0376.0251.0376": "the same in octal",
    "2852039166": "the same in decimal",
    "0xa9fea9fe": "the same in hexadecimal",
    "169.254.43518": "the same, short",
    "[::ffff:a9fe:a9fe]": "the same, mapped",
    "[fd00:ec2::254]": "the same by IPv6",
    "10.0.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "100.64.0.1": "shared by a provider's customers",
    "0.0.0.0": "unspecified",
    "0": "unspecified, short",
    "0x0": "unspecified, hexadecimal",
    "[::]": "unspecified",
    "255.255.255.255": "broadcast",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "[ff02::1]": "multicast",
    "[fe80::1]": "link-local",
    "[fec0::1]": "site-local",
    "[fc00::1]": "unique local",
    "[64:ff9b::a00:1]": "NAT64 of a private address",
    "[2002:a00:1::1]": "6to4 of a private address",
    "[::ffff:0:127.0.0.1]": "IPv4-translated",
    "198.18.0.1": "benchmarks",
    "192.0.2.1": "documentation",
    "[2001:db8::1]": "documentation",
    "[3fff::1]": "documentation",
    "[100::1]": "discard",
    "240.0.0.1": "reserved",
    "192.88.99.1": "relays of 6to4",
}
NO_HOST = {
    "[fe80::1%25lo]": "zone",
    "[::1%lo]": "zone, not quoted",
    "127.0.0.%31": "quoted digit",
    "127.0.0.1%00.example.org": "null byte",
    "127.0.0.1%2f.example.org": "quoted slash",
    "[127.0.0.1]": "IPv4 in brackets",
    "[::1": "bracket not closed",
    "[::g]": "no address",
    "[v1.fe80]": "address of the future",
    "a..example.org": "empty label",
    "": "no host",
    "example.org\\@127.0.0.1": "backslash",
    "x" * 70 + ".example.org": "label too long",
}


@pytest.fixture
def everywhere(web: RawWeb) -> RawWeb:
    """A server that answers on 127.0.0.1 and, where there is one, on ::1."""

    async def listen() -> None:
        await asyncio.start_server(web._serve, "::1", web.port)

    async def answer(exchange: Exchange) -> None:
        await exchange.respond(200, BODY)

    web.handle("/x", answer)
    if socket.has_ipv6:
        with contextlib.suppress(OSError):
            web._run(listen())
    return web


def test_nothing_is_connected_to_when_a_private_address_is_spelt_in_any_way(everywhere: RawWeb):
    hosts = [*LOOPBACK, *ELSEWHERE]
    got = fetch_all([f"http://{host}:{everywhere.port}/x" for host in hosts], allow=(), retries=2)
    assert {host: item.reason for host, item in zip(hosts, got, strict=True)} == dict.fromkeys(
        hosts, Reason.BLOCKED_ADDRESS
    )
    assert {item.attempts for item in got} == {1}
    assert everywhere.connections == 0


def test_nothing_is_connected_to_when_a_redirect_leads_to_a_private_address(everywhere: RawWeb):
    hosts = [*LOOPBACK, *ELSEWHERE, *NO_HOST]
    for place, host in enumerate(hosts):
        everywhere.redirect(f"/to{place}", f"http://{host}:{everywhere.port}/x")
    urls = [everywhere.url(f"/to{place}", "127.0.0.2") for place in range(len(hosts))]
    got = fetch_all(urls, allow=("127.0.0.2/32",), retries=2)
    blocked = dict.fromkeys([*LOOPBACK, *ELSEWHERE], Reason.BLOCKED_ADDRESS)
    expected = blocked | dict.fromkeys(NO_HOST, Reason.INVALID_URL)
    assert {host: item.reason for host, item in zip(hosts, got, strict=True)} == expected
    assert [item.final_url for item in got] == urls
    assert everywhere.asked["/x"] == 0


def test_url_is_refused_when_its_host_is_none(everywhere: RawWeb):
    got = fetch_all([f"http://{host}:{everywhere.port}/x" for host in NO_HOST], allow=("::/0", "0.0.0.0/0"))
    assert {host: item.reason for host, item in zip(NO_HOST, got, strict=True)} == dict.fromkeys(
        NO_HOST, Reason.INVALID_URL
    )
    assert everywhere.connections == 0


def test_listener_would_notice_when_the_addresses_were_allowed(everywhere: RawWeb):
    hosts = [host for host in LOOPBACK if not host.startswith("[")]
    got = fetch_all([f"http://{host}:{everywhere.port}/x" for host in hosts], allow=("127.0.0.0/8", "::1/128"))
    assert {host: item.body for host, item in zip(hosts, got, strict=True)} == dict.fromkeys(hosts, BODY)


def test_name_is_refused_when_any_of_its_addresses_is_private(everywhere: RawWeb):
    server = NameServer()
    try:
        server.on("metadata.example", ["60 A 169.254.169.254"])
        server.on("inside.example", ["60 A 127.0.0.1"])
        server.on("both.example", ["60 A 93.184.216.34", "60 A 10.0.0.1"])
        server.on("alias.example", ["60 CNAME inside.example", "60 A 127.0.0.1"])
        names = ("metadata.example", "inside.example", "both.example", "alias.example", "INSIDE.example.")
        urls = [f"http://{name}:{everywhere.port}/x" for name in names]
        for place, url in enumerate(urls):
            everywhere.redirect(f"/to{place}", url)
        hops = [everywhere.url(f"/to{place}", "127.0.0.2") for place in range(len(urls))]
        got = fetch_all([*urls, *hops], allow=("127.0.0.2/32",), nameservers=(server.address,))
    finally:
        server.close()
    assert [item.reason for item in got] == [Reason.BLOCKED_ADDRESS] * 10
    assert got[0].detail == "metadata.example is 169.254.169.254"
    assert everywhere.asked["/x"] == 0


def test_connection_goes_to_the_checked_address_when_the_name_answers_differently_then(everywhere: RawWeb):
    server = NameServer()
    try:
        server.on("turncoat.example", ["0 A 127.0.0.2"], ["0 A 127.0.0.1"])
        urls = [f"http://turncoat.example:{everywhere.port}/x"] * 3
        got = fetch_all(urls, allow=("127.0.0.2/32",), nameservers=(server.address,))
    finally:
        server.close()
    assert [item.body for item in got] == [BODY] * 3
    assert {headers["host"] for _, headers in everywhere.requests} == {f"turncoat.example:{everywhere.port}"}


@pytest.mark.parametrize("port", [22, 25, 6379, 11211, 65535])
def test_port_is_refused_at_every_hop_when_it_is_not_listed(web: RawWeb, port: int):
    web.redirect("/x", f"http://127.0.0.1:{port}/")
    direct, hop = fetch_all([f"http://127.0.0.1:{port}/", web.url("/x")], ports=(80, 443, web.port))
    assert (direct.reason, hop.reason) == (Reason.BLOCKED_PORT, Reason.BLOCKED_PORT)
    assert (direct.status, hop.status) == (None, 302)


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/x", "file:///etc/passwd", "gopher://127.0.0.1:1/_", "data:,x"])
def test_redirect_is_refused_when_it_leaves_the_web(web: RawWeb, location: str):
    assert fetch_one(web.redirect("/x", location)).reason is Reason.UNSUPPORTED_SCHEME


def test_nothing_of_ours_is_sent_on_when_urls_cookies_or_the_environment_hold_secrets(
    web: RawWeb, monkeypatch: pytest.MonkeyPatch, tmp_path
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    web.on("/a", 302, headers={"Location": f"http://me:secret@127.0.0.1:{web.port}/b", "Set-Cookie": "id=1; Path=/"})
    web.on("/b", 302, headers={"Location": f"//you:secret@127.0.0.1:{web.port}/c"})
    web.on("/c", body=BODY, headers={"Set-Cookie": "id=2"})
    got = fetch_all([f"http://me:secret@127.0.0.1:{web.port}/a", web.url("/c")])
    assert [item.body for item in got] == [BODY, BODY]
    assert got[0].redirect_chain == [web.url("/a"), web.url("/b")]
    assert [path for path, _ in web.requests] == ["/a", "/b", "/c", "/c"]
    for _, headers in web.requests:
        assert not headers.keys() & {"authorization", "cookie", "proxy-authorization", "referer"}
        assert headers["host"] == f"127.0.0.1:{web.port}"
