"""Calls that block, made from an event loop, and left alone if they never come back."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
Progress = Callable[[], bool]
"""Tells that a step is done, and asks whether anybody still waits for the next."""


class BlockingCalls:
    """Makes calls in daemon threads: one that hangs keeps neither the loop nor the end of the process waiting.

    Whoever cancels a call leaves it behind. Its thread counts until it ends, so that a dead
    network drive takes no more than `limit` threads.
    """

    def __init__(self, limit: int) -> None:
        """Made on the event loop. At most `limit` calls run at a time."""
        self._free = asyncio.Semaphore(limit)

    async def watch(self, call: Callable[[Progress], Result], silence_s: float) -> Result:
        """The result of a call that tells of its progress.

        Args:
            call: Asks the function that it is given, after each step, whether it shall go on.
            silence_s: Longest time between any two steps.

        Raises:
            TimeoutError: It was silent for longer.
        """
        loop = asyncio.get_running_loop()
        wanted = True

        def step_done() -> None:
            # The alarm has gone off meanwhile, or the call has ended.
            with contextlib.suppress(RuntimeError):
                alarm.reschedule(loop.time() + silence_s)

        def go_on() -> bool:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(step_done)
            return wanted

        try:
            async with asyncio.timeout(silence_s) as alarm:
                return await self.run(lambda: call(go_on))
        finally:
            wanted = False

    async def run(self, call: Callable[[], Result]) -> Result:
        """The result of a call, or what it raises."""
        loop = asyncio.get_running_loop()
        await self._free.acquire()
        answer: asyncio.Future[Result] = loop.create_future()

        def work() -> None:
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - handed to the one who awaits, who raises it
                settle(lambda error=error: answer.set_exception(error))  # type: ignore[misc]
            else:
                settle(lambda: answer.set_result(result))

        def settle(put: Callable[[], None]) -> None:
            def on_loop() -> None:
                self._free.release()
                if not answer.done():
                    put()

            # The loop may be gone by now: then nobody waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(on_loop)

        threading.Thread(target=work, name="reference", daemon=True).start()
        return await answer
