"""The event loop of a fetching worker: a thread of its own, whose bodies are handed over as they arrive."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from curation.net.fetched import Fetched, Validators
from curation.references.reader import Fetcher
from schemas.outcomes import FailureReason
from stages.fetch.record import Wanted

logger = logging.getLogger(__name__)

_LINGER_S = 0.004
"""How long a chunk waits for company: a table of one row costs as much to make as one of thirty."""
_END_S = 10.0

Result = TypeVar("Result")
Arrival = tuple[int, Fetched]


class LoopThread:
    """An event loop in a daemon thread: uvloop's where it is installed."""

    def __init__(self) -> None:
        self.loop = _new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="fetch", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result], timeout_s: float | None = None) -> Result:
        """Runs a coroutine on the loop and waits for its result. Raises TimeoutError."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)

    def stop(self, last: Coroutine[Any, Any, None] | None = None) -> None:
        """Runs the last coroutine, and ends the loop and its thread; neither is waited for longer than some seconds."""
        if last is not None:
            with contextlib.suppress(TimeoutError):
                self.run(last, _END_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_END_S)
        if not self._thread.is_alive():
            self.loop.close()


class PartFetch:
    """Fetches what one part wants.

    At most `concurrency` bodies are in memory, on their way, waiting to be taken or in the chunk that was
    yielded last: whoever takes them slowly slows the fetching down.
    """

    def __init__(self, thread: LoopThread, client: Fetcher, concurrency: int) -> None:
        self._loop = thread.loop
        self._client = client
        self._gate = asyncio.Semaphore(concurrency)
        self._arrivals: queue.SimpleQueue[Arrival | BaseException] = queue.SimpleQueue()
        self._logged: set[type[Exception]] = set()

    def chunks(self, wanted: Sequence[Wanted], max_chunk: int, timeout_s: float | None) -> Iterator[list[Arrival]]:
        """Yields (index of what was wanted, what became of it) in the order of arrival, in chunks.

        Stops early when `timeout_s` have been spent waiting for the network; the time that the
        caller takes over a chunk does not count.
        """
        work = asyncio.run_coroutine_threadsafe(self._fetch_all(wanted), self._loop)
        missing, waited_s = len(wanted), 0.0
        try:
            while missing:
                started = time.monotonic()
                chunk = self._next_chunk(max_chunk, None if timeout_s is None else max(0.0, timeout_s - waited_s))
                waited_s += time.monotonic() - started
                if not chunk:
                    return
                missing -= len(chunk)
                yield chunk
                self._release(chunk)
        finally:
            work.cancel()

    async def _fetch_all(self, wanted: Sequence[Wanted]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for index, (url, known) in enumerate(wanted):
                    group.create_task(self._fetch_one(index, url, known))
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits, which raises it
            self._arrivals.put(error)

    async def _fetch_one(self, index: int, url: str | None, known: Validators | None) -> None:
        try:
            fetched = await self._client.fetch(url, self._gate, known)
        except Exception as error:  # noqa: BLE001 - what one server answered must not take a whole part with it
            fetched = self._unforeseen(url, error)
        self._arrivals.put((index, fetched))

    def _unforeseen(self, url: str | None, error: Exception) -> Fetched:
        """A failed row for an error that is a mistake of the code's; told with its traceback once a part."""
        kind = type(error)
        if kind not in self._logged:
            self._logged.add(kind)
            logger.error("an error that nobody foresaw while fetching %.200r", url, exc_info=error)
        return Fetched(reason=FailureReason.CONNECTION_FAILED, detail=kind.__name__, attempts=1)

    def _next_chunk(self, max_chunk: int, timeout_s: float | None) -> list[Arrival]:
        chunk: list[Arrival] = []
        wait_s = timeout_s
        with contextlib.suppress(queue.Empty):
            while len(chunk) < max_chunk:
                arrival = self._arrivals.get(timeout=wait_s)
                if isinstance(arrival, BaseException):
                    raise arrival
                if not chunk:
                    company_until = time.monotonic() + _LINGER_S
                chunk.append(arrival)
                wait_s = max(0.0, company_until - time.monotonic())
        return chunk

    def _release(self, chunk: list[Arrival]) -> None:
        bodies = sum(fetched.body is not None for _, fetched in chunk)
        if bodies:
            self._loop.call_soon_threadsafe(_release_places, self._gate, bodies)


def _release_places(gate: asyncio.Semaphore, places: int) -> None:
    for _ in range(places):
        gate.release()


def _new_event_loop() -> asyncio.AbstractEventLoop:
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    return factory()
