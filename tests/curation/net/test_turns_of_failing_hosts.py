"""Hosts that throttle or fail: what one worker has seen holds for all of a coordinator."""

import asyncio
import time

import pytest
from turn_takers import Guests, gathered, with_workers

from curation.net.coordinator import TurnCoordinator
from curation.net.turn_messages import SERVED, THROTTLED, Ask, Poll, Report, TurnLimits
from curation.net.turns import HostGivenUp
from schemas.outcomes import FailureReason as Reason


def test_all_workers_leave_a_host_alone_when_it_throttles_twice():
    guests = Guests()

    async def work(crew):
        await gathered([guests.visit(turns, "h", 0.01) for turns in crew for _ in range(2)])
        crew[0].report_throttled("h", 0.5)
        await guests.visit(crew[1], "h")
        crew[1].report_throttled("h", 0.5)
        await asyncio.sleep(0.1)
        started = time.monotonic()
        await guests.visit(crew[0], "h")
        return time.monotonic() - started

    assert 0.3 < with_workers(2, work, TurnLimits(2)) < 0.6


def test_all_workers_leave_a_host_alone_at_once_when_it_asks_for_it():
    guests = Guests()

    async def work(crew):
        # All have turns in hand that could be used again.
        visits = [asyncio.ensure_future(guests.visit(turns, "h", 0.02)) for turns in crew for _ in range(60)]
        await asyncio.sleep(0.3)
        asked_at = asyncio.get_running_loop().time()
        crew[0].report_throttled("h", 1.0, asked=True)
        await asyncio.gather(*visits)
        return asked_at

    asked_at = with_workers(3, work, TurnLimits(3))
    assert len(guests.began["h"]) == 180
    # A message to the others takes two tenths of a second at most.
    assert not [at for at in guests.began["h"] if asked_at + 0.3 < at < asked_at + 0.9]


def test_turn_that_was_granted_and_not_told_is_taken_back_when_the_host_asks_for_a_rest():
    async def run():
        coordinator = TurnCoordinator(TurnLimits(2))
        for worker in ("a", "b"):
            await coordinator.answer(Ask(worker, fresh=True))
        await coordinator.answer(Ask("a", wanted={"h": 2}))
        await coordinator.answer(Ask("b", wanted={"h": 1, "other": 1}))
        # The turn that comes free is granted to b, which is told with its next answer.
        await coordinator.answer(Ask("a", returned={"h": 1}))
        report = Report("h", THROTTLED, 0.3, Reason.HTTP_TOO_MANY_REQUESTS, asked=True)
        await coordinator.answer(Ask("a", reports=[report]))
        told = await coordinator.answer(Ask("b"))
        again = await coordinator.answer(Poll("b"))
        return told, again

    told, again = asyncio.run(run())
    assert "h" not in [grant.host for grant in told.grants]
    assert [grant.host for grant in again.grants] == ["h"]


def test_host_does_not_rest_when_it_served_between_two_complaints():
    async def work(crew):
        guests = Guests()
        for report in ("throttled", "served", "throttled"):
            await guests.visit(crew[0], "h")
            if report == "throttled":
                crew[0].report_throttled("h", 0.5)
            else:
                crew[0].report_served("h")
        await asyncio.sleep(0.05)
        started = time.monotonic()
        await guests.visit(crew[0], "h")
        return time.monotonic() - started

    assert with_workers(1, work, TurnLimits(2)) < 0.2


def test_host_is_not_given_up_when_workers_complain_that_are_answered_in_between():
    async def work(crew):
        for _ in range(2):
            for turns in crew:
                await Guests().visit(turns, "h")
                turns.report_throttled("h", 3600.0, cause=Reason.HTTP_TOO_MANY_REQUESTS, asked=True)
                for _ in range(12):
                    turns.report_served("h")
                # It is told by now.
                await asyncio.sleep(0.2)
        started = time.monotonic()
        await Guests().visit(crew[0], "h")
        return time.monotonic() - started

    assert with_workers(3, work, TurnLimits(4, max_rest_s=30)) < 1.0


def test_answers_are_told_once_each_when_a_host_has_complained():
    async def work(crew):
        turns, told = crew[0], []
        turns._desks[0].report = told.append
        turns.report_served("h")
        turns.report_throttled("h", 1.0)
        for _ in range(40):
            turns.report_served("h")
        turns.report_throttled("h", 1.0)
        turns.report_throttled("h", 1.0)
        return [(report.kind, report.served) for report in told]

    first, *served, second, third = with_workers(1, work, TurnLimits(4))
    assert served == [(SERVED, 0), (SERVED, 2), (SERVED, 3), (SERVED, 3)]
    assert (first, second, third) == ((THROTTLED, 0), (THROTTLED, 28), (THROTTLED, 0))


def test_host_is_given_up_for_all_when_connections_fail_in_succession():
    guests = Guests()

    async def work(crew):
        for turns in crew:
            await guests.visit(turns, "h")
            turns.report_unreachable("h", Reason.CONNECT_TIMEOUT)
        await asyncio.sleep(0.15)
        failures = []
        for turns in crew:
            with pytest.raises(HostGivenUp) as given_up:
                await guests.visit(turns, "h")
            failures.append((given_up.value.reason, given_up.value.detail))
        await asyncio.sleep(0.45)
        # One request tries it; the others wait for what becomes of it.
        await gathered([guests.visit(turns, "h", 0.05) for turns in crew])
        return failures

    failures = with_workers(2, work, TurnLimits(4, unreachable_after=2, cool_down_s=0.4))
    assert failures == [(Reason.HOST_DOWN, "2 connections in succession failed (connect_timeout)")] * 2
    first, second = guests.began["h"][-2:]
    assert second - first > 0.04


def test_host_is_given_up_again_at_once_when_the_one_that_tries_it_fails():
    guests = Guests()

    async def fail(turns):
        await guests.visit(turns, "h")
        turns.report_unreachable("h", Reason.CONNECTION_REFUSED)
        await asyncio.sleep(0.03)

    async def work(crew):
        for _ in range(3):
            await fail(crew[0])
        await asyncio.sleep(0.25)
        await fail(crew[0])
        with pytest.raises(HostGivenUp):
            await guests.visit(crew[0], "h")
        await asyncio.sleep(0.25)
        await guests.visit(crew[0], "h")
        crew[0].report_served("h")
        await asyncio.sleep(0.03)
        await fail(crew[0])
        await guests.visit(crew[0], "h")

    with_workers(1, work, TurnLimits(4, unreachable_after=3, cool_down_s=0.2))


def test_host_is_given_up_when_it_asks_for_a_longer_rest_than_is_waited_for():
    async def work(crew):
        await Guests().visit(crew[0], "h")
        crew[0].report_throttled("h", 3600.0)
        crew[0].report_throttled("h", 3600.0)
        await asyncio.sleep(0.05)
        with pytest.raises(HostGivenUp) as given_up:
            await Guests().visit(crew[1], "h")
        return given_up.value.reason

    assert with_workers(2, work, TurnLimits(4, max_rest_s=30)) is Reason.HTTP_TOO_MANY_REQUESTS
