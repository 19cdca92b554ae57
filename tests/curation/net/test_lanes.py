import asyncio
import time

from curation.net.lanes import HostLanes


def test_lane_admits_its_width_when_many_want_in():
    lanes, inside, most = HostLanes(2), 0, 0

    async def visit() -> None:
        nonlocal inside, most
        async with lanes.lane("h"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    async def crowd() -> None:
        await asyncio.gather(*(visit() for _ in range(12)))

    asyncio.run(crowd())
    assert most == 2
    assert len(lanes) == 0


def test_hosts_do_not_wait_for_each_other():
    lanes = HostLanes(1)

    async def both() -> str:
        async with lanes.lane("slow"), asyncio.timeout(1), lanes.lane("fast"):
            return "reached"

    assert asyncio.run(both()) == "reached"


def test_host_rests_when_it_throttles_twice_in_succession_and_only_then():
    lanes = HostLanes(4)

    async def time_to_enter(*reports: str) -> float:
        async with lanes.lane("h"):
            for report in reports:
                if report == "throttled":
                    lanes.report_throttled("h", 0.1)
                else:
                    lanes.report_served("h")
        started = time.monotonic()
        async with lanes.lane("h"):
            return time.monotonic() - started

    async def measure() -> list[float]:
        return [
            await time_to_enter("throttled", "served"),
            await time_to_enter("throttled"),
            await time_to_enter("throttled"),
        ]

    once, first, second = asyncio.run(measure())
    assert max(once, first) < 0.05
    assert 0.08 < second < 0.3
