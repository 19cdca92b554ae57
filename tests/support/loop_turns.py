"""How often an event loop came round while something was done on it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class LoopTurns:
    count: int = 0


@contextmanager
def counted_turns() -> Iterator[LoopTurns]:
    """Counts for the time of the block, within a coroutine."""
    turns = LoopTurns()

    async def count() -> None:
        while True:
            turns.count += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    try:
        yield turns
    finally:
        counting.cancel()
