"""What the client does with a host's wishes and a host's troubles, over a real server."""

import asyncio
import itertools
import socket
import time

import pytest
from name_server import NameServer
from raw_web import Exchange, RawWeb
from web_clients import fetch_all, fetch_one, open_client

from curation.net.opt_out import ROBOTS_TAGS
from curation.net.turn_messages import TurnLimits
from schemas.outcomes import FailureReason as Reason

BODY = b"some bytes"


@pytest.mark.parametrize("tag", ROBOTS_TAGS)
@pytest.mark.parametrize("named", ["", "test-bot: "])
def test_tag_is_obeyed_when_the_switch_says_so(web: RawWeb, tag: str, named: str):
    url = web.on("/x", body=BODY, headers={"X-Robots-Tag": f"{named}{tag}"})
    refused = fetch_one(url, robots_tags=(tag,))
    assert (refused.reason, refused.detail, refused.body) == (Reason.OPTED_OUT, f"X-Robots-Tag: {tag}", None)
    assert fetch_one(url, robots_tags=tuple(set(ROBOTS_TAGS) - {tag})).body == BODY


def test_tag_is_no_matter_when_it_is_another_crawlers(web: RawWeb):
    assert fetch_one(web.on("/x", body=BODY, headers={"X-Robots-Tag": "otherbot: noai"})).body == BODY


def test_reservation_is_obeyed_when_the_switch_says_so(web: RawWeb):
    url = web.on("/x", body=BODY, headers={"TDM-Reservation": "1", "TDM-Policy": "https://example.org/policy"})
    refused = fetch_one(url)
    assert (refused.reason, refused.detail, refused.body) == (Reason.OPTED_OUT, "tdm-reservation: 1", None)
    assert fetch_one(url, tdm_reservation=False).body == BODY
    assert fetch_one(web.on("/y", body=BODY, headers={"tdm-reservation": "0"})).body == BODY


def test_owner_is_obeyed_when_a_redirect_already_opts_out(web: RawWeb):
    web.on("/y", body=BODY)
    url = web.on("/x", 302, headers={"Location": "/y", "tdm-reservation": "1"})
    assert fetch_one(url).reason is Reason.OPTED_OUT
    assert web.asked["/y"] == 0


def test_dead_host_is_given_up_when_connections_fail_in_succession():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        urls = [f"http://127.0.0.1:{probe.getsockname()[1]}/{number}" for number in range(6)]
        got = fetch_all(urls, limits=TurnLimits(8, unreachable_after=3))
    assert [each.reason for each in got] == [Reason.CONNECTION_REFUSED] * 3 + [Reason.HOST_DOWN] * 3
    assert got[-1].detail == "3 connections in succession failed (connection_refused)"


def test_silent_host_is_given_up_and_taken_up_again_when_it_speaks(web: RawWeb):
    speaks = False

    async def maybe(exchange: Exchange) -> None:
        if not speaks:
            await asyncio.sleep(30)
        await exchange.respond(200, BODY)

    url = web.handle("/x", maybe)
    options = {"limits": TurnLimits(8, unreachable_after=2, cool_down_s=0.4), "first_byte_timeout_s": 0.1}

    async def story() -> list:
        nonlocal speaks
        client, gate = open_client(**options), asyncio.Semaphore(9)
        got = [await client.fetch(url, gate) for _ in range(3)]
        speaks = True
        await asyncio.sleep(0.5)
        got += [await client.fetch(url, gate) for _ in range(2)]
        await client.close()
        return [each.reason for each in got]

    assert asyncio.run(story()) == [Reason.READ_TIMEOUT, Reason.READ_TIMEOUT, Reason.HOST_DOWN, None, None]


def test_failure_is_the_urls_own_when_its_host_is_given_up_between_attempts():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/"
        got = fetch_one(url, retries=5, limits=TurnLimits(8, unreachable_after=2))
    assert (got.reason, got.attempts) == (Reason.CONNECTION_REFUSED, 3)


def test_all_urls_of_a_host_rest_when_it_has_asked_for_it(web: RawWeb):
    async def busy(exchange: Exchange) -> None:
        await exchange.respond(429 if exchange.nth == 1 else 200, BODY, {"Retry-After": "1"})

    urls = [web.handle("/a", busy), web.handle("/b", busy)]
    started = time.monotonic()
    got = fetch_all([*urls, web.on("/c", body=BODY)], together=True, retries=2, limits=TurnLimits(1, max_rest_s=2.0))
    assert [each.body for each in got] == [BODY] * 3
    # The third URL was never refused, but its host rests.
    assert got[2].seconds >= 1.0
    assert time.monotonic() - started < 4


def test_host_is_left_alone_when_it_asks_for_it_between_answers_as_usual(web: RawWeb):
    asked: list[tuple[float, int]] = []

    async def mixed(exchange: Exchange) -> None:
        status = 429 if len(asked) % 3 == 0 else 200
        asked.append((time.monotonic(), status))
        await exchange.respond(status, BODY, {"Retry-After": "1"} if status == 429 else {})

    urls = [web.handle(f"/{number}", mixed) for number in range(6)]
    got = fetch_all(urls, together=True, retries=4, limits=TurnLimits(1, max_rest_s=2.0))
    assert [each.body for each in got] == [BODY] * 6
    # One connection at a time: after each request for a rest there is one.
    rests = [later[0] - earlier[0] for earlier, later in itertools.pairwise(asked) if earlier[1] == 429]
    assert len(rests) == 3
    assert min(rests) > 0.9


def test_others_do_not_wait_when_a_single_url_is_unavailable_for_a_while(web: RawWeb):
    async def heals(exchange: Exchange) -> None:
        await exchange.respond(503 if exchange.nth == 1 else 200, BODY, {"Retry-After": "1"})

    url = web.handle("/heals", heals)
    others = [web.on(f"/{number}", body=BODY) for number in range(6)]
    got = fetch_all([others[0], url, *others[1:]], together=True, retries=2, limits=TurnLimits(1, max_rest_s=2.0))
    assert [each.body for each in got] == [BODY] * 7
    assert got[1].seconds > 0.9
    assert max(each.seconds for each in (*got[:1], *got[2:])) < 0.7


def test_reason_is_what_the_host_said_when_it_asks_for_hours_by_503(web: RawWeb):
    urls = [web.on(f"/{number}", 503, headers={"Retry-After": "7200"}) for number in range(4)]
    got = fetch_all(urls)
    assert [each.reason for each in got] == [Reason.HTTP_SERVER_ERROR] * 4
    assert [each.status for each in got] == [503, 503, None, None]
    assert got[3].detail == "the host asked to be left alone for longer than 2 s"


def test_urls_fail_at_once_when_their_host_asks_for_hours(web: RawWeb):
    urls = [web.on(f"/{number}", 429, headers={"Retry-After": "7200"}) for number in range(5)]
    got = fetch_all(urls, retries=3)
    assert [each.reason for each in got] == [Reason.HTTP_TOO_MANY_REQUESTS] * 5
    assert sum(web.asked.values()) == 2
    assert [each.status for each in got] == [429, 429, None, None, None]


def test_others_go_on_when_a_limited_host_makes_most_urls_wait(web: RawWeb):
    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.1)
        await exchange.respond(200, BODY)

    waiting = [web.handle(f"/slow{number}", slow) for number in range(15)]
    web.on("/x", body=BODY)
    others = [web.url("/x", f"127.0.0.{2 + number % 2}") for number in range(10)]
    got = fetch_all([*waiting, *others], together=True, limits=TurnLimits(1), concurrency=2)
    assert [each.body for each in got] == [BODY] * 25
    assert got[14].seconds > 1.4
    assert max(each.seconds for each in got[15:]) < 0.7


def test_name_is_looked_up_by_the_given_server_when_one_is_set(web: RawWeb):
    server = NameServer()
    server.on("pictures.example", ["60 CNAME cdn.example", "60 A 127.0.0.1"])
    server.on("private.example", ["60 A 10.0.0.1"])
    web.on("/x", body=BODY)
    urls = [f"http://{name}.example:{web.port}/x" for name in ("pictures", "private", "nowhere")]
    got = fetch_all(urls, nameservers=(server.address,))
    assert [each.reason for each in got] == [None, Reason.BLOCKED_ADDRESS, Reason.DNS_NOT_FOUND]
    assert got[0].timing.dns > 0
    server.close()


def test_rate_holds_when_requests_had_to_wait_for_room(web: RawWeb):
    began: list[float] = []

    async def note(exchange: Exchange) -> None:
        began.append(time.monotonic())
        await exchange.respond(200, BODY)

    url = web.handle("/x", note)

    async def story() -> None:
        client, gate = open_client(limits=TurnLimits(8, host_rate=10.0)), asyncio.Semaphore(2)
        fetches = [asyncio.ensure_future(client.fetch(url, gate)) for _ in range(10)]
        await asyncio.sleep(1.2)
        # Two bodies are there and nobody has dealt with them: now there is room for all.
        for _ in range(10):
            gate.release()
        await asyncio.gather(*fetches)
        await client.close()

    asyncio.run(story())
    assert len(began) == 10
    assert min(later - earlier for earlier, later in itertools.pairwise(began)) > 0.04


def test_other_port_is_served_when_one_of_the_host_is_dead(web: RawWeb):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{probe.getsockname()[1]}/"
        urls = [dead, dead, dead, web.on("/x", body=BODY), dead]
        got = fetch_all(urls, limits=TurnLimits(8, unreachable_after=2))
    assert [each.reason for each in got] == [*[Reason.CONNECTION_REFUSED] * 2, Reason.HOST_DOWN, None, Reason.HOST_DOWN]
