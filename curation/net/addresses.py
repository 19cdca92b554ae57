"""Which addresses and ports may be reached: the public internet, and what a recipe allows beside it."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection, Iterable
from functools import lru_cache

from curation.net.failures import FetchFailure
from schemas.outcomes import FailureReason

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# Special-purpose blocks that ipaddress of Python 3.11 takes for public ones.
_SPECIAL = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24"))
_DOCUMENTATION = ipaddress.IPv6Network("3fff::/20")
_DOTTED_QUAD = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}")
# ISATAP writes an IPv4 address behind these 32 bits, with the universal bit set or not.
_ISATAP = (0x00005EFE, 0x02005EFE)
_MAX_REMEMBERED = 4096


class AddressPolicy:
    """Decides on addresses and ports.

    Public unicast addresses are allowed. Private, loopback, link-local, multicast, unspecified,
    reserved and documentation ones are not, unless they lie in an allowed network; an IPv6
    address that carries an IPv4 one (mapped, NAT64, 6to4, Teredo, ISATAP) is judged by what it carries.
    """

    def __init__(
        self,
        allow_networks: Iterable[str] = (),
        allow_ports: Collection[int] | None = (80, 443),
        *,
        allow_public: bool = True,
    ) -> None:
        """Takes networks in CIDR notation and ports; None allows every port. Raises ValueError for no network.

        Without `allow_public`, nothing is allowed but the networks.
        """
        self._allow_public = allow_public
        self._networks: tuple[Network, ...] = tuple(ipaddress.ip_network(text) for text in allow_networks)
        self._ports = None if allow_ports is None else frozenset(allow_ports)
        # The same hosts come again and again, and taking an address apart takes longer than all other checks.
        self._judged = lru_cache(_MAX_REMEMBERED)(self._judge)

    def allows_port(self, port: int) -> bool:
        """Whether a connection to the port may be made."""
        return self._ports is None or port in self._ports

    def allows_address(self, text: str) -> bool:
        """Whether a connection to the address may be made, given as `socket` writes it, with or without a zone."""
        return self._judged(text)

    def _judge(self, text: str) -> bool:
        address = ipaddress.ip_address(text.partition("%")[0])
        carried = _carried_address(address)
        if any(_lies_in(address, network) or _lies_in(carried, network) for network in self._networks):
            return True
        return self._allow_public and _is_public(carried)

    @property
    def reaches_strangers(self) -> bool:
        """Whether anything may be reached that is not within a private, loopback or link-local network."""
        return self._allow_public or not all(network.is_private for network in self._networks)

    def require_port(self, port: int) -> None:
        """Raises FetchFailure for a port that may not be reached."""
        if not self.allows_port(port):
            raise FetchFailure(FailureReason.BLOCKED_PORT, f"port {port}")

    def require_literal(self, host: str) -> None:
        """Raises FetchFailure if the host is an address that may not be reached; says nothing of names."""
        if host and not host[-1].isdigit() and ":" not in host:
            return
        try:
            allowed = self.allows_address(host)
        except ValueError:
            return
        if not allowed:
            raise FetchFailure(FailureReason.BLOCKED_ADDRESS, host)


def canonical_ipv4(host: str) -> str | None:
    """The dotted quad that the C library makes of a host such as `2130706433`, `0177.0.0.1` or `0x7f.1`, or None."""
    if not host or not (host[0].isascii() and host[0].isdigit()):
        return None
    if _DOTTED_QUAD.fullmatch(host):
        return host
    try:
        return str(ipaddress.IPv4Address(socket.inet_aton(host)))
    except (OSError, UnicodeError):
        return None


def _lies_in(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


def _carried_address(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64 or int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address


def _is_public(address: Address) -> bool:
    if address.is_multicast or not address.is_global:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        return address in _GLOBAL_UNICAST and address not in _DOCUMENTATION
    return not address.is_reserved and not any(address in network for network in _SPECIAL)
