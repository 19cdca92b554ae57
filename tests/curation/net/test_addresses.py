import pytest

from curation.net.addresses import AddressPolicy, canonical_ipv4
from curation.net.failures import FetchFailure
from schemas.outcomes import FailureReason


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.0.8", "198.18.0.1", "192.0.2.1"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1", "100::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::1"),
        *("::127.0.0.1", "64:ff9b:1::1", "2001:0:5ef5:79fb:0:0:80ff:fffe"),
        *("3fff::1", "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:127.0.0.1"),
    ],
)
def test_address_is_refused_when_it_is_not_public(address: str):
    assert not AddressPolicy().allows_address(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "64:ff9b::808:808", "2606:4700::5efe:8.8.8.8"]
)
def test_address_is_allowed_when_it_is_public(address: str):
    assert AddressPolicy().allows_address(address)


def test_network_is_reached_when_it_is_allowed():
    policy = AddressPolicy(("127.0.0.0/8", "fd00::/8"))
    assert [policy.allows_address(text) for text in ("127.9.9.9", "::ffff:127.0.0.1", "fd00::1", "10.0.0.1")] == [
        True,
        True,
        True,
        False,
    ]


def test_port_is_refused_when_it_is_not_listed():
    policy = AddressPolicy(allow_ports=(80, 8080))
    policy.require_port(8080)
    with pytest.raises(FetchFailure) as refusal:
        policy.require_port(22)
    assert refusal.value.reason is FailureReason.BLOCKED_PORT
    assert AddressPolicy(allow_ports=None).allows_port(22)


def test_policy_is_refused_when_a_network_is_none():
    with pytest.raises(ValueError, match="nonsense"):
        AddressPolicy(("nonsense",))


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("2130706433", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("1and1.example", None),
        ("example.org", None),
        ("::1", None),
        ("", None),
    ],
)
def test_ipv4_is_canonical_when_the_c_library_would_take_it(host: str, address: str | None):
    assert canonical_ipv4(host) == address
