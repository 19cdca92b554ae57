"""SIGTERM as spot machines and schedulers give it: some time to finish what is in work, before everything ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Notice:
    """Whether this process was told to end."""

    given: bool = False


@contextmanager
def notice_to_end(grace_s: float) -> Iterator[Notice]:
    """For the time of the block, SIGTERM is a notice: the block begins nothing more, and ends when the rest is done.

    A second SIGTERM, or that the time is over, does what SIGTERM does otherwise, and so does the end of the block.
    Ctrl-C ends at once as ever. Where SIGTERM does nothing in Python, or in a thread that signals do not reach, nothing
    changes.

    Raises:
        KeyboardInterrupt: The notice was given.
    """
    notice = Notice()
    before = signal.getsignal(signal.SIGTERM)
    main = threading.main_thread()
    if grace_s <= 0 or threading.current_thread() is not main or not callable(before):
        yield notice
        return
    told, done = threading.Event(), threading.Event()

    def watch() -> None:
        told.wait()
        if not done.wait(grace_s) and main.ident is not None:
            # To the main thread: what it waits for would not be interrupted otherwise.
            signal.pthread_kill(main.ident, signal.SIGTERM)

    def hear(number: int, frame: FrameType | None) -> None:
        if notice.given:
            before(number, frame)
            return
        notice.given = True
        told.set()

    # Begun before it is needed: what a handler interrupts may hold the lock that starting a thread takes.
    watcher = threading.Thread(target=watch, name="notice-to-end", daemon=True)
    watcher.start()
    signal.signal(signal.SIGTERM, hear)
    try:
        yield notice
    finally:
        done.set()
        told.set()
        watcher.join()
        signal.signal(signal.SIGTERM, before)
    if notice.given:
        before(signal.SIGTERM, None)
        raise KeyboardInterrupt
