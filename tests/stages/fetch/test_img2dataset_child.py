import io
import json
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from raw_web import RawWeb

from curation.net import opt_out
from curation.net.addresses import AddressPolicy
from stages.fetch import img2dataset_child
from stages.fetch.img2dataset_child import may_be_reached, polite_opener, read_frame, write_frame

ADDRESSES = [
    *("8.8.8.8", "1.1.1.1", "93.184.216.34", "0.0.0.0", "10.1.2.3", "127.0.0.1", "100.64.0.1", "169.254.169.254"),
    *("172.16.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "203.0.113.9", "224.0.0.1"),
    *(
        "240.0.0.1",
        "255.255.255.255",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
    ),
    *(
        "ff02::1",
        "::ffff:8.8.8.8",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "2002:7f00:1::",
        "2001:db8::1",
    ),
    *("2001:0:5ef5:79fb:0:59b:f5ff:fffe", "4000::1"),
]


@pytest.mark.parametrize("public", [True, False])
@pytest.mark.parametrize("networks", [[], ["127.0.0.0/8"], ["10.0.0.0/8", "fc00::/7"]])
def test_no_address_is_reached_that_the_policy_refuses(networks: list[str], public: bool):
    policy = AddressPolicy(networks, allow_public=public)
    reached = {address for address in ADDRESSES if may_be_reached(address, networks, public=public)}
    allowed = {address for address in ADDRESSES if policy.allows_address(address)}
    assert reached <= allowed
    # It is stricter only where an IPv6 address carries another one.
    assert all(":" in address for address in allowed - reached)


def test_frames_come_back_when_they_were_written():
    stream = io.BytesIO()
    write_frame(stream, {"index": 3, "error": "ü"}, b"body")
    write_frame(stream, {"done": 1})
    stream.seek(0)
    assert read_frame(stream) == ({"index": 3, "error": "ü", "bytes": 4}, b"body")
    assert read_frame(stream) == ({"done": 1, "bytes": 0}, b"")
    assert read_frame(stream) is None


def test_a_frame_is_none_when_it_is_cut_short():
    stream = io.BytesIO()
    write_frame(stream, {"index": 3}, b"body")
    assert read_frame(io.BytesIO(stream.getvalue()[:-1])) is None
    assert read_frame(io.BytesIO(stream.getvalue()[:2])) is None


MANNERS = {
    "opt_out": opt_out.__file__,
    "user_agent": "my-bot/1.0 (+https://example.org)",
    "agent": "my-bot",
    "robots_tags": ["noai"],
    "tdm_reservation": True,
}


def test_every_hop_hears_our_own_name_when_a_url_is_opened(web: RawWeb):
    url = web.redirect("/a", web.redirect("/b", web.on("/c", body=b"body")))
    request = urllib.request.Request(url, headers={"User-Agent": "Mozilla/5.0"})
    assert polite_opener(MANNERS).open(request, timeout=5).read() == b"body"
    assert [(path, headers["user-agent"]) for path, headers in web.requests] == [
        (path, MANNERS["user_agent"]) for path in ("/a", "/b", "/c")
    ]


@pytest.mark.parametrize("status", [200, 206, 302])
@pytest.mark.parametrize("header", [("X-Robots-Tag", "noai"), ("tdm-reservation", "1")])
def test_an_owner_that_opted_out_is_obeyed_when_a_url_is_opened(web: RawWeb, status: int, header: tuple[str, str]):
    url = web.on("/a", status, b"body", {header[0]: header[1], "Location": web.on("/b", body=b"body")})
    with pytest.raises(PermissionError, match=f"opted out: {header[0]}: {header[1]}"):
        polite_opener(MANNERS).open(url, timeout=5)
    assert web.asked["/b"] == 0


def test_the_status_is_told_when_it_is_an_error_whatever_the_owner_wishes(web: RawWeb):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        polite_opener(MANNERS).open(web.on("/a", 404, headers={"X-Robots-Tag": "noai"}), timeout=5)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "file:///etc/hostname", "data:,a"])
def test_nothing_but_http_is_opened(web: RawWeb, url: str):
    with pytest.raises(urllib.error.URLError, match="unknown url type"):
        polite_opener(MANNERS).open(url)
    with pytest.raises(urllib.error.URLError):
        polite_opener(MANNERS).open(web.redirect("/a", url))


def test_the_child_needs_nothing_of_this_project_when_another_python_runs_it():
    code = (
        "import importlib.util, json, sys\n"
        "spec = importlib.util.spec_from_file_location('child', sys.argv[1])\n"
        "child = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(child)\n"
        "child.polite_opener(json.loads(sys.argv[2]))\n"
        "print(sorted(name for name in sys.modules if name.partition('.')[0] in ('curation', 'stages', 'schemas')))\n"
    )
    command = [sys.executable, "-I", "-S", "-c", code, img2dataset_child.__file__, json.dumps(MANNERS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"
