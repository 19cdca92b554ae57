"""Asks for the addresses of a name: c-ares, which tells how long they hold, or the operating system's resolver."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, Protocol

import aiodns
import pycares

from curation.net.failures import FetchFailure
from schemas.outcomes import FailureReason

ResolverName = Literal["cares", "system"]

_TRY_S = 2.0
_TRIES = 2
_SYSTEM_TTL_S = 300.0
_NO_SUCH_NAME = frozenset({pycares.errno.ARES_ENOTFOUND, pycares.errno.ARES_ENODATA})


@dataclass(frozen=True, slots=True)
class Found:
    """The addresses of a name.

    Attributes:
        addresses: (family, address as text), in the order of preference.
        ttl_s: How long they hold: the shortest of all records on the way, aliases included.
    """

    addresses: tuple[tuple[socket.AddressFamily, str], ...]
    ttl_s: float


class NameLookup(Protocol):
    """One way to look names up. Belongs to one event loop."""

    async def look_up(self, host: str) -> Found:
        """The addresses of a name.

        Raises:
            socket.gaierror: EAI_NONAME if there are none, EAI_AGAIN for all else.
            FetchFailure: It cannot be the name of a host.
        """
        ...

    async def close(self) -> None:
        """Ends what is under way."""
        ...


def open_lookup(name: ResolverName, nameservers: Sequence[str], most_at_once: int) -> NameLookup:
    """The lookup of that name. Nameservers, `address` or `address:port`, are for c-ares alone; none means the system's.

    Raises:
        ValueError: No nameserver.
    """
    return SystemLookup(most_at_once) if name == "system" else CaresLookup(nameservers)


def check_nameservers(nameservers: Sequence[str]) -> None:
    """Raises ValueError for what is no address of a nameserver."""
    if not nameservers:
        return
    try:
        channel = pycares.Channel(servers=nameservers, sock_state_cb=lambda *_: None)
    except (pycares.AresError, UnicodeError) as error:
        raise ValueError(
            f"no nameservers: {', '.join(nameservers)}; give addresses, with `:port` if need be"
        ) from error
    channel.close()


class CaresLookup:
    """Asks nameservers by c-ares, without a thread for each question. /etc/hosts is read first.

    Names are asked for as they are: the search list of resolv.conf, with which a cluster's nameserver is asked
    five times for each host of the web, is left out.
    """

    def __init__(self, nameservers: Sequence[str] = ()) -> None:
        # Every query in the open air costs a port: c-ares keeps one socket for each server.
        self._resolver = aiodns.DNSResolver(
            nameservers=list(nameservers) or None,
            timeout=_TRY_S,
            tries=_TRIES,
            flags=pycares.ARES_FLAG_NOSEARCH,
            rotate=len(nameservers) > 1,
        )
        self._family = usable_family()

    async def look_up(self, host: str) -> Found:
        """The addresses of a name, with their TTL."""
        try:
            result = await self._resolver.getaddrinfo(host, family=self._family, type=socket.SOCK_STREAM)
        except aiodns.error.DNSError as error:
            number, text = error.args[:2]
            if number == pycares.errno.ARES_EBADNAME:
                raise FetchFailure(FailureReason.INVALID_URL, "not the name of a host") from error
            kind = socket.EAI_NONAME if number in _NO_SUCH_NAME else socket.EAI_AGAIN
            raise socket.gaierror(kind, str(text)) from error
        addresses = tuple((socket.AddressFamily(node.family), _text(node.addr[0])) for node in result.nodes)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        ttls = [node.ttl for node in result.nodes] + [alias.ttl for alias in result.cnames]
        return Found(addresses, float(min(ttls)))

    async def close(self) -> None:
        """Ends what is under way."""
        await self._resolver.close()


class SystemLookup:
    """Asks the operating system in threads: nsswitch, search lists and all, but no TTL."""

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="resolve")

    async def look_up(self, host: str) -> Found:
        """The addresses of a name, good for five minutes."""
        answers = await asyncio.get_running_loop().run_in_executor(
            self._executor,
            lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG),
        )
        return Found(tuple((family, str(place[0])) for family, *_, place in answers), _SYSTEM_TTL_S)

    async def close(self) -> None:
        """Waits for no look-up that is under way."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def usable_family() -> socket.AddressFamily:
    """AF_INET on a machine without a way to the internet over IPv6, where half of all questions would be in vain."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect(("2001:db8::1", 53))  # Chooses a route and sends nothing.
    except OSError:
        return socket.AF_INET
    return socket.AF_UNSPEC


def _text(address: bytes | str) -> str:
    return address.decode("ascii") if isinstance(address, bytes) else address
