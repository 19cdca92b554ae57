import asyncio
import socket
import time

import pytest
from raw_web import Exchange, RawWeb
from web_clients import fetch_one, open_client

from curation.net.deadlines import DeadlineWatch
from schemas.outcomes import FailureReason as Reason

LONG = {"connect_timeout_s": 20.0, "first_byte_timeout_s": 20.0, "idle_timeout_s": 20.0, "total_timeout_s": 20.0}


async def _begins_and_stops(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    await asyncio.sleep(30)


async def _says_nothing(exchange: Exchange) -> None:
    await asyncio.sleep(30)


@pytest.mark.parametrize(
    ("handler", "setting", "reason", "detail"),
    [
        (_says_nothing, "first_byte_timeout_s", Reason.READ_TIMEOUT, "no response within 0.2 s"),
        (_begins_and_stops, "idle_timeout_s", Reason.READ_TIMEOUT, "silent for 0.2 s"),
        (_begins_and_stops, "total_timeout_s", Reason.TOTAL_TIMEOUT, "more than 0.2 s"),
        (_says_nothing, "total_timeout_s", Reason.TOTAL_TIMEOUT, "more than 0.2 s"),
    ],
)
def test_deadline_holds_by_itself_when_all_others_are_long(web: RawWeb, handler, setting, reason, detail):
    started = time.monotonic()
    got = fetch_one(web.handle("/x", handler), **{**LONG, setting: 0.2})
    assert (got.reason, got.detail) == (reason, detail)
    assert 0.19 < time.monotonic() - started < 1.0


@pytest.mark.parametrize(
    ("setting", "reason"),
    [("connect_timeout_s", Reason.CONNECT_TIMEOUT), ("total_timeout_s", Reason.TOTAL_TIMEOUT)],
)
def test_deadline_holds_while_connecting_when_nobody_accepts(setting: str, reason: Reason):
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        got = fetch_one(f"http://127.0.0.1:{listener.getsockname()[1]}/", **{**LONG, setting: 0.2})
    assert (got.reason, got.detail) == (reason, "more than 0.2 s")
    assert got.seconds < 1.0


def test_body_comes_when_a_server_is_slow_but_within_every_deadline(web: RawWeb):
    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.15)
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        for byte in b"abc":
            await asyncio.sleep(0.15)
            await exchange.send(bytes([byte]))

    got = fetch_one(web.handle("/x", slow), first_byte_timeout_s=0.3, idle_timeout_s=0.3, total_timeout_s=2.0)
    assert got.body == b"abc"
    assert got.timing.first_byte == pytest.approx(0.15, abs=0.08)
    assert got.timing.body == pytest.approx(0.45, abs=0.15)


def test_task_can_be_cancelled_from_elsewhere_when_a_deadline_runs():
    async def run() -> None:
        watch = DeadlineWatch()

        async def work() -> None:
            with watch.start(5.0):
                await asyncio.sleep(10)

        task = asyncio.create_task(work())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        watch.close()

    asyncio.run(run())


def test_deadlines_end_one_task_each_when_several_run():
    async def run() -> list[str]:
        watch = DeadlineWatch()

        async def work(seconds: float) -> str:
            try:
                with watch.start(seconds) as deadline:
                    deadline.enter_phase(0.05 if seconds > 4 else 3.0, Reason.READ_TIMEOUT)
                    await asyncio.sleep(0.3)
            except TimeoutError:
                return deadline.ended_by.value
            return "done"

        results = await asyncio.gather(work(0.1), work(1.0), work(5.0))
        watch.close()
        return results

    assert asyncio.run(run()) == ["total_timeout", "done", "read_timeout"]


async def _answers_late(exchange: Exchange) -> None:
    await asyncio.sleep(0.3)
    await exchange.respond(200, b"abc")


async def _ends_late(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
    await asyncio.sleep(1.8)
    await exchange.send(b"def")


@pytest.mark.parametrize("handler", [_answers_late, _ends_late, _says_nothing])
@pytest.mark.parametrize("setting", ["first_byte_timeout_s", "idle_timeout_s", "total_timeout_s"])
def test_no_host_is_blamed_when_this_process_was_held_up(web: RawWeb, handler, setting: str):
    url = web.handle("/x", handler)

    async def story() -> Reason | None:
        client = open_client(**{**LONG, "total_timeout_s": 4.0, setting: 1.0})
        fetching = asyncio.ensure_future(client.fetch(url, asyncio.Semaphore(1)))
        await asyncio.sleep(0.15)
        # Nothing on the loop is done meanwhile.
        time.sleep(1.5)
        got = await fetching
        await client.close()
        return got.reason

    silent = handler is _says_nothing
    expected = {"first_byte_timeout_s": Reason.READ_TIMEOUT}.get(setting, Reason.TOTAL_TIMEOUT) if silent else None
    assert asyncio.run(story()) == expected


@pytest.mark.parametrize("last", [_answers_late, _says_nothing])
def test_time_that_is_left_behind_a_redirect_is_not_less_when_this_process_was_held_up(web: RawWeb, last):
    async def leads_on(exchange: Exchange) -> None:
        await asyncio.sleep(0.3)
        await exchange.respond(302, b"", {"Location": "/end"})

    web.handle("/end", last)
    url = web.handle("/x", leads_on)

    async def story() -> tuple[Reason | None, float]:
        client = open_client(**{**LONG, "total_timeout_s": 1.5})
        fetching = asyncio.ensure_future(client.fetch(url, asyncio.Semaphore(1)))
        await asyncio.sleep(0.15)
        # Nothing on the loop is done meanwhile.
        time.sleep(2.0)
        got = await fetching
        await client.close()
        return got.reason, got.seconds

    reason, seconds = asyncio.run(story())
    assert reason is (Reason.TOTAL_TIMEOUT if last is _says_nothing else None)
    assert seconds < 4.5


def test_connecting_is_not_too_slow_when_this_process_was_held_up(web: RawWeb):
    url = web.on("/x", body=b"abc")

    async def story() -> bytes | None:
        client = open_client(**{**LONG, "connect_timeout_s": 0.5})

        async def hold_up() -> None:
            while web.connections == before:
                await asyncio.sleep(0)
                time.sleep(0.001)
            time.sleep(1.0)

        before = web.connections
        got, _ = await asyncio.gather(client.fetch(url, asyncio.Semaphore(1)), hold_up())
        await client.close()
        return got.body

    assert asyncio.run(story()) == b"abc"
