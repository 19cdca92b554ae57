"""Over a real nameserver on loopback."""

import asyncio
import socket
import time

import pytest
from name_server import NameServer

from curation.net import name_lookup, resolver
from curation.net.addresses import AddressPolicy
from curation.net.failures import FetchFailure
from curation.net.name_lookup import CaresLookup, SystemLookup
from curation.net.resolver import CheckedResolver
from schemas.outcomes import FailureReason as Reason

PUBLIC = "93.184.216.34"


@pytest.fixture
def server():
    server = NameServer()
    yield server
    server.close()


@pytest.fixture
def brief(monkeypatch):
    """Answers are kept as short as their TTL says, failures for a twentieth of a second."""
    monkeypatch.setattr(resolver, "_KEPT_S", (0.0, 3600.0))
    monkeypatch.setattr(resolver, "_UNKNOWN_KEPT_S", 0.05)
    monkeypatch.setattr(resolver, "_FAILURE_KEPT_S", 0.05)
    monkeypatch.setattr(name_lookup, "_TRY_S", 0.1)


def using(server, work, policy=None, most_at_once=16):
    """Runs `work(resolver)` on a loop of its own."""

    async def run():
        checked = CheckedResolver(policy or AddressPolicy(), CaresLookup([server.address]), most_at_once)
        try:
            return await work(checked)
        finally:
            await checked.close()

    return asyncio.run(run())


async def addresses(checked, host):
    return sorted(found["host"] for found in await checked.resolve(host, 80))


def test_aliases_are_followed_when_there_is_a_chain_of_them(server):
    server.on("www.example", ["60 CNAME cdn.example", "60 CNAME edge.example", f"60 A {PUBLIC}", "60 A 1.1.1.1"])
    assert using(server, lambda checked: addresses(checked, "www.example")) == ["1.1.1.1", PUBLIC]


def test_name_is_refused_when_a_chain_of_aliases_ends_within(server):
    server.on("www.example", ["60 CNAME inner.example", "60 A 10.0.0.7"])
    with pytest.raises(FetchFailure) as refused:
        using(server, lambda checked: addresses(checked, "www.example"))
    assert (refused.value.reason, refused.value.detail) == (Reason.BLOCKED_ADDRESS, "www.example is 10.0.0.7")


def test_name_is_refused_when_one_of_its_addresses_is_private(server):
    server.on("both.example", [f"60 A {PUBLIC}", "60 A 169.254.169.254"])
    with pytest.raises(FetchFailure):
        using(server, lambda checked: addresses(checked, "both.example"))


def test_answer_is_used_again_until_its_ttl_is_over(server, brief):
    server.on("a.example", [f"1 A {PUBLIC}"], ["1 A 1.1.1.1"])

    async def ask(checked):
        at_once = [await addresses(checked, "a.example") for _ in range(3)]
        asked = server.asked["a.example"]
        await asyncio.sleep(1.1)
        return at_once, asked, await addresses(checked, "a.example")

    assert using(server, ask) == ([[PUBLIC]] * 3, 1, ["1.1.1.1"])
    assert server.asked["a.example"] == 2


def test_name_is_refused_when_it_answers_with_loopback_the_second_time(server, brief):
    server.on("rebind.example", [f"1 A {PUBLIC}"], ["1 A 127.0.0.1"])

    async def ask(checked):
        first = await addresses(checked, "rebind.example")
        await asyncio.sleep(1.1)
        with pytest.raises(FetchFailure) as refused:
            await addresses(checked, "rebind.example")
        return first, refused.value.reason

    assert using(server, ask) == ([PUBLIC], Reason.BLOCKED_ADDRESS)


def test_answer_is_kept_ten_seconds_when_its_ttl_is_nought(server):
    server.on("a.example", [f"0 A {PUBLIC}"], ["0 A 127.0.0.1"])

    async def ask(checked):
        return [await addresses(checked, "a.example") for _ in range(2)]

    assert using(server, ask) == [[PUBLIC]] * 2


@pytest.mark.parametrize(("answer", "number"), [("NXDOMAIN", socket.EAI_NONAME), ("SERVFAIL", socket.EAI_AGAIN)])
def test_failure_is_kept_for_its_own_time_when_there_is_no_address(server, brief, answer, number):
    server.on("gone.example", answer)

    async def ask(checked):
        numbers = []
        for _ in range(3):
            with pytest.raises(socket.gaierror) as failed:
                await checked.resolve("gone.example", 80)
            numbers.append(failed.value.errno)
        asked = server.asked["gone.example"]
        server.on("gone.example", [f"60 A {PUBLIC}"])
        await asyncio.sleep(0.1)
        return numbers, asked, await addresses(checked, "gone.example")

    numbers, asked, healed = using(server, ask)
    assert (numbers, healed) == ([number] * 3, [PUBLIC])
    # A server that fails is asked twice, as c-ares was told to.
    assert asked == (2 if number == socket.EAI_AGAIN else 1)


def test_name_is_unknown_when_it_has_no_address(server):
    server.on("mail.example", [])

    async def ask(checked):
        with pytest.raises(socket.gaierror) as failed:
            await checked.resolve("mail.example", 80)
        return failed.value.errno

    assert using(server, ask) == socket.EAI_NONAME


def test_lookup_ends_when_the_server_never_answers(server, brief):
    server.on("silent.example", None)
    started = time.monotonic()

    async def ask(checked):
        with pytest.raises(socket.gaierror) as failed:
            await checked.resolve("silent.example", 80)
        return failed.value.errno

    assert using(server, ask) == socket.EAI_AGAIN
    assert time.monotonic() - started < 2


def test_name_is_asked_for_once_when_many_wait_for_it(server):
    server.on("a.example", [f"60 A {PUBLIC}"])

    async def ask(checked):
        await asyncio.gather(*(addresses(checked, "a.example") for _ in range(50)))

    using(server, ask)
    assert server.asked["a.example"] == 1


def test_nameserver_is_spared_when_many_names_are_wanted():
    server = NameServer(delay_s=0.02)
    for number in range(30):
        server.on(f"{number}.example", [f"60 A {PUBLIC}"])

    async def ask(checked):
        return await asyncio.gather(*(addresses(checked, f"{number}.example") for number in range(30)))

    assert using(server, ask, most_at_once=4) == [[PUBLIC]] * 30
    assert server.most_together == 4
    server.close()


def test_time_is_told_when_a_name_was_not_known_before(server):
    server.on("a.example", [f"60 A {PUBLIC}"])

    async def ask(checked):
        return await checked.prepare("a.example"), await checked.prepare("a.example")

    first, second = using(server, ask)
    assert first > 0
    assert second == 0


def test_hosts_file_is_read_when_a_name_stands_in_it(server):
    policy = AddressPolicy(("127.0.0.0/8", "::1/128"))
    found = using(server, lambda checked: addresses(checked, "localhost"), policy)
    assert "127.0.0.1" in found
    assert not server.asked


def test_system_resolver_finds_the_same_when_it_is_asked():
    async def ask():
        lookup = SystemLookup(2)
        found = await lookup.look_up("localhost")
        await lookup.close()
        return [address for _, address in found.addresses]

    assert "127.0.0.1" in asyncio.run(ask())
