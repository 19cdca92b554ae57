import io

import pytest

from curation.net.addresses import AddressPolicy
from stages.fetch.img2dataset_child import may_be_reached, read_frame, write_frame

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
