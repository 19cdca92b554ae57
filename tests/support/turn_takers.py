"""Workers that take turns at hosts of one coordinator, on one event loop."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial

from curation.contracts.shared import LocalLink, SharedSpec
from curation.net.ask_window import AskWindow
from curation.net.coordinator import TurnCoordinator
from curation.net.turn_messages import TurnLimits
from curation.net.turns import HostTurns


class Guests:
    """Counts the requests in flight at each host, and when each began."""

    def __init__(self) -> None:
        self.inside: dict[str, int] = defaultdict(int)
        self.most: dict[str, int] = defaultdict(int)
        self.began: dict[str, list[float]] = defaultdict(list)

    async def visit(self, turns: HostTurns, host: str, seconds: float = 0.005, interval_s: float = 0.0) -> None:
        async with turns.turn(host, AskWindow(1), interval_s) as turn:
            turn.begin()
            self.began[host].append(asyncio.get_running_loop().time())
            self.inside[host] += 1
            self.most[host] = max(self.most[host], self.inside[host])
            try:
                await asyncio.sleep(seconds)
            finally:
                self.inside[host] -= 1


def link_to(limits: TurnLimits, **options: object) -> LocalLink:
    return LocalLink(SharedSpec(partial(TurnCoordinator, limits, **options), 1))


@asynccontextmanager
async def workers(link: LocalLink, number: int, most_asked: int = 8, most_used: int | None = None):
    crew = [HostTurns(link, most_asked, most_used) for _ in range(number)]
    try:
        yield crew
    finally:
        for each in crew:
            await each.close()


def with_workers(
    number: int, work: Callable[[list[HostTurns]], Awaitable[object]], limits: TurnLimits, **options: object
) -> object:
    """What `work` returns, given so many workers of one coordinator."""

    async def run() -> object:
        async with workers(link_to(limits, **options), number) as crew:
            return await work(crew)

    return asyncio.run(run())


def gathered(visits: list[Coroutine[object, object, None]]) -> Awaitable[object]:
    return asyncio.gather(*visits)
