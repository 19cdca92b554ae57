import asyncio

from curation.net.ask_window import AskWindow


def taken_at_once(window, number):
    """How many of so many who want in are in, when nobody leaves."""

    async def enter(inside):
        await window.acquire()
        inside.append(None)

    async def run():
        inside = []
        tasks = [asyncio.ensure_future(enter(inside)) for _ in range(number)]
        await asyncio.sleep(0.01)
        before = len(inside)
        window.stretch(2.0)
        await asyncio.sleep(0.01)
        after = len(inside)
        for task in tasks:
            task.cancel()
        return before, after

    return asyncio.run(run())


def test_places_are_twice_as_many_when_the_window_is_stretched():
    assert taken_at_once(AskWindow(3), 20) == (3, 6)


def test_place_is_passed_on_when_whoever_got_it_is_cancelled_at_that_moment():
    async def run():
        window = AskWindow(1)
        await window.acquire()
        first, second = asyncio.ensure_future(window.acquire()), asyncio.ensure_future(window.acquire())
        await asyncio.sleep(0)
        window.release()
        first.cancel()
        async with asyncio.timeout(1):
            await second
        return first.cancelled()

    assert asyncio.run(run())
