"""Several workers of one coordinator: what holds for all of them together."""

import asyncio
import time

import pytest
from turn_takers import Guests, gathered, link_to, with_workers, workers

from curation.net.ask_window import AskWindow
from curation.net.turn_messages import Poll, TurnLimits
from curation.net.turns import HostTurns


def test_host_has_no_more_guests_than_allowed_when_many_workers_want_in():
    guests = Guests()

    async def work(crew):
        await gathered([guests.visit(turns, "h") for turns in crew for _ in range(20)])

    with_workers(4, work, TurnLimits(3))
    assert guests.most == {"h": 3}
    assert len(guests.began["h"]) == 80


def test_domain_has_no_more_guests_than_allowed_when_its_hosts_are_many():
    guests, inside, most = Guests(), 0, 0

    async def visit(turns, host):
        nonlocal inside, most
        async with turns.turn(host, AskWindow(1)):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.005)
            inside -= 1

    async def work(crew):
        hosts = [f"{number}.example.co.uk" for number in range(10)]
        other = guests.visit(crew[0], "other.co.uk")
        await gathered([*(visit(turns, host) for turns in crew for host in hosts for _ in range(3)), other])

    with_workers(2, work, TurnLimits(8, domain_concurrency=4))
    assert most == 4
    assert guests.most == {"other.co.uk": 1}


@pytest.mark.parametrize(
    ("limits", "hosts"),
    [
        (TurnLimits(8, host_rate=50), ["h"]),
        (TurnLimits(8, domain_rate=50), ["a.example.org", "b.example.org", "c.example.org"]),
    ],
)
def test_requests_keep_their_distance_when_a_rate_is_given(limits: TurnLimits, hosts: list[str]):
    guests = Guests()

    async def work(crew):
        await gathered([guests.visit(turns, host) for turns in crew for host in hosts for _ in range(12 // len(hosts))])

    with_workers(3, work, limits)
    began = sorted(at for host in hosts for at in guests.began[host])
    assert len(began) == 36
    # 35 intervals of 20 ms; each may come late, which the next one then does not make up for.
    assert 0.68 < began[-1] - began[0] < 1.5
    assert min(later - earlier for earlier, later in zip(began, began[10:], strict=False)) > 0.16


def test_workers_get_like_shares_when_all_want_the_same_host():
    guests: dict[int, int] = {}

    async def visit(turns, number):
        async with turns.turn("h", AskWindow(1)):
            await asyncio.sleep(0.001)
            guests[number] = guests.get(number, 0) + 1

    async def work(crew):
        tasks = [asyncio.ensure_future(visit(turns, n)) for n, turns in enumerate(crew) for _ in range(300)]
        await asyncio.sleep(1.0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with_workers(3, work, TurnLimits(2, host_rate=100))
    assert min(guests.values()) > 0.5 * max(guests.values())


def test_turn_goes_to_others_after_a_second_when_one_worker_has_endless_work():
    async def work(crew):
        busy, other = crew

        async def stay():
            while True:
                async with busy.turn("h", AskWindow(1)):
                    await asyncio.sleep(0.01)

        tasks = [asyncio.ensure_future(stay()) for _ in range(5)]
        await asyncio.sleep(0.1)
        started = time.monotonic()
        async with other.turn("h", AskWindow(1)):
            waited_s = time.monotonic() - started
        for task in tasks:
            task.cancel()
        return waited_s

    assert 0.5 < with_workers(2, work, TurnLimits(1)) < 1.5


def test_a_worker_asks_for_no_more_turns_than_it_can_use():
    guests = Guests()

    async def run():
        async with workers(link_to(TurnLimits(4)), 2, most_used=3) as (busy, other):
            # More requests than may be in flight, and then some that wait for their turn to be passed on.
            tasks = [asyncio.ensure_future(guests.visit(busy, "h", 0.02)) for _ in range(100)]
            await asyncio.sleep(0.3)
            started = time.monotonic()
            await Guests().visit(other, "h")
            waited_s = time.monotonic() - started
            await asyncio.gather(*tasks)
            return waited_s

    # One of four turns was free, though a hundred requests of another worker wait.
    assert asyncio.run(run()) < 0.4
    assert guests.most["h"] == 3
    assert len(guests.began["h"]) == 100


def test_a_turn_is_asked_for_at_once_when_nothing_but_a_return_was_told_before():
    async def work(crew):
        waited = []
        # Who is alone may ask at any time.
        await Guests().visit(crew[1], "other")
        for _ in range(5):
            await asyncio.sleep(0.3)
            async with crew[0].turn("h", AskWindow(1)):
                await asyncio.sleep(0.2)
            await asyncio.sleep(0.02)
            started = time.monotonic()
            await Guests().visit(crew[0], "h", 0.0)
            waited.append(time.monotonic() - started)
        return min(waited)

    # The turn went back 20 ms before: a tenth of a second would have to pass between two wishes.
    assert with_workers(2, work, TurnLimits(4)) < 0.06


def test_hosts_do_not_wait_for_each_other_when_one_is_full():
    async def work(crew):
        async with crew[0].turn("slow", AskWindow(1)) as turn:
            turn.begin()
            async with asyncio.timeout(1), crew[0].turn("fast", AskWindow(1)):
                return "reached"

    assert with_workers(1, work, TurnLimits(1)) == "reached"


def test_window_is_left_when_a_request_has_to_wait():
    async def work(crew):
        window = AskWindow(1)
        async with crew[0].turn("h", AskWindow(1)):
            waiting = asyncio.ensure_future(crew[0].turn("h", window).__aenter__())
            async with asyncio.timeout(1), crew[0].turn("other", window):
                waiting.cancel()
                return "reached"

    assert with_workers(1, work, TurnLimits(1)) == "reached"


def test_window_holds_back_when_those_who_got_a_turn_have_not_begun():
    async def work(crew):
        window = AskWindow(2)
        got: list[str] = []

        async def take(host):
            async with crew[0].turn(host, window) as turn:
                got.append(host)
                await asyncio.sleep(0.1)
                turn.begin()

        await asyncio.wait([asyncio.ensure_future(take(f"h{number}")) for number in range(5)], timeout=0.06)
        return got

    assert with_workers(1, work, TurnLimits(1)) == ["h0", "h1"]


def test_turn_comes_back_when_whoever_waits_for_it_is_cancelled():
    async def work(crew):
        for _ in range(5):
            tasks = [asyncio.ensure_future(Guests().visit(turns, "h", 30)) for turns in crew for _ in range(4)]
            await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        last = Guests()
        async with asyncio.timeout(1):
            await last.visit(crew[0], "h")
        return len(last.began["h"])

    assert with_workers(2, work, TurnLimits(3)) == 1


def test_turns_of_a_dead_worker_come_free_when_it_is_not_heard_of():
    async def run():
        link = link_to(TurnLimits(1), lease_s=0.4)
        dead = HostTurns(link, 8)
        await dead.turn("h", AskWindow(1)).__aenter__()
        for desk in dead._desks:
            desk._closing = True  # it says nothing any more
        async with workers(link, 1) as (living,):
            started = time.monotonic()
            await Guests().visit(living, "h")
            return time.monotonic() - started

    assert 0.2 < asyncio.run(run()) < 3


def test_turn_is_kept_when_a_request_takes_longer_than_a_lease():
    guests = Guests()

    async def work(crew):
        await gathered([guests.visit(turns, "h", 0.8) for turns in crew])

    with_workers(2, work, TurnLimits(1), lease_s=0.3)
    assert guests.most == {"h": 1}


class _Fragile:
    """A link whose coordinator dies when told to, and forgets everything."""

    copies = 1

    def __init__(self, limits, lease_s):
        self._make = lambda: link_to(limits, lease_s=lease_s)
        self._link = self._make()
        self.fails = 0

    def die(self):
        self._link = self._make()
        self._link._part.replaces_a_lost_one()
        self.fails = 2

    async def ask(self, copy, question):
        if self.fails:
            self.fails -= 1
            raise ConnectionError("it died")
        link = self._link
        answer = await link.ask(copy, question)
        if isinstance(question, Poll) and link is not self._link:
            raise ConnectionError("it died with the question")
        return answer


def test_limit_holds_when_the_coordinator_is_lost_and_made_anew():
    guests = Guests()

    async def run():
        link = _Fragile(TurnLimits(3), lease_s=0.5)
        async with workers(link, 3) as crew:
            visits = [asyncio.ensure_future(guests.visit(turns, "h", 0.02)) for turns in crew for _ in range(30)]
            for _ in range(2):
                await asyncio.sleep(0.1)
                link.die()
            async with asyncio.timeout(10):
                await asyncio.gather(*visits)

    asyncio.run(run())
    assert guests.most == {"h": 3}
    assert len(guests.began["h"]) == 90


def test_worker_asks_again_when_the_link_fails_in_an_unforeseen_way():
    class Flawed:
        copies = 1

        def __init__(self, link):
            self._link, self._asked = link, 0

        async def ask(self, copy, question):
            self._asked += 1
            if self._asked in (1, 3):
                raise RuntimeError("not started yet")
            return await self._link.ask(copy, question)

    async def run():
        async with workers(Flawed(link_to(TurnLimits(1))), 1) as (turns,), asyncio.timeout(5):
            guests = Guests()
            for _ in range(3):
                await guests.visit(turns, "h")
            return len(guests.began["h"])

    assert asyncio.run(run()) == 3
