import asyncio
import threading
import time

import pytest

from curation.references.blocking_calls import BlockingCalls


def test_the_loop_goes_on_when_a_call_blocks():
    async def scene() -> tuple[int, int]:
        calls, ticks = BlockingCalls(2), 0
        waiting = asyncio.ensure_future(calls.run(lambda: time.sleep(0.2) or 7))
        while not waiting.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return await waiting, ticks

    result, ticks = asyncio.run(scene())
    assert result == 7
    assert ticks > 5


def test_what_a_call_raises_reaches_the_one_who_waits():
    def fail() -> None:
        raise KeyError("x")

    async def scene() -> None:
        await BlockingCalls(1).run(fail)

    with pytest.raises(KeyError, match="x"):
        asyncio.run(scene())


def test_threads_are_bounded_when_calls_never_come_back():
    let_go = threading.Event()
    running = 0

    def hang() -> None:
        nonlocal running
        running += 1
        let_go.wait(10)

    async def scene() -> int:
        calls = BlockingCalls(2)
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(calls.run(hang), 0.05)
        hung = running
        let_go.set()
        assert await asyncio.wait_for(calls.run(lambda: 1), 5) == 1
        return hung

    assert asyncio.run(scene()) == 2


def test_a_slow_call_is_waited_for_when_it_goes_on_and_left_when_it_is_silent():
    heard: list[bool] = []

    def steps(count: int, pause_s: float):
        def call(go_on):
            for _ in range(count):
                time.sleep(pause_s)
                heard.append(go_on())
            return count

        return call

    async def scene() -> int:
        calls = BlockingCalls(4)
        done = await calls.watch(steps(6, 0.25), 1.2)
        with pytest.raises(TimeoutError):
            await calls.watch(steps(1, 0.8), 0.2)
        while len(heard) < 7:
            await asyncio.sleep(0.05)
        return done

    assert asyncio.run(scene()) == 6
    assert heard == [True] * 6 + [False]
