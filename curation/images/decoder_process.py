"""A decoding process as whoever feeds it sees it: what it was given, what came back, and of what it died."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curation.errors import TransientError
from curation.images.decoder_frames import (
    HELLO,
    OUT_OF_MEMORY,
    REQUEST,
    BrokenFrameError,
    ChildSettings,
    Result,
    ResultBuffer,
)
from curation.images.delivery import DeliverySettings
from curation.images.run_queue_wait import RunQueueWait
from curation.images.shared_bodies import SharedBodies

_START_TIMEOUT_S = 120.0
_HELD_BACK_S = 1.0
"""A process holds results back for less than this: so much later than the last of them, its next file has begun."""
_MOST_IMAGE_BYTES = 256 << 20
_RESULT_PIPE_BYTES = 1 << 18
_READ_BYTES = 1 << 19
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(8 << 20), "MALLOC_TRIM_THRESHOLD_": str(16 << 20)}
"""Environment by which the memory of an ordinary image is not handed back to the kernel between two of them: it would
have to be cleared anew."""
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONHOME")
"""All of the environment that a decoding process sees: credentials are none of its business."""


@dataclass(frozen=True, slots=True)
class DecoderSettings:
    """How decoding processes are run.

    Attributes:
        delivery: What is asked of each image.
        timeout_s: Most time for one file, without what its process waits for a processor.
        memory_bytes: Most memory for decoding, beside what a process has after its start.
        module: What they run, by `python -m`.
    """

    delivery: DeliverySettings
    timeout_s: float
    memory_bytes: int
    module: str = "curation.images.decoder_child"


class DecoderProcess:
    """A process that decodes the bodies it is given, one after the other.

    Attributes:
        given: Indices of the bodies that were given and have no result yet, in the order given.
        place_in_hand: The place in `given` of the file that it was at when it ended, None if it was at none.
        idle: It ended before it began any file.
    """

    def __init__(self, settings: DecoderSettings) -> None:
        self._settings = settings
        self.given: deque[int] = deque()
        self.place_in_hand: int | None = None
        self.idle = self._ended = self._ready = False
        self._unsent = bytearray()
        self._received = ResultBuffer(_READ_BYTES, _max_image_bytes(settings))
        self._taken = self._begun = 0
        self._broken = False
        self._started = time.monotonic()
        with contextlib.ExitStack() as its_ends:
            lifeline, self._lifeline = _pipe(its_ends, its_end=0)
            requests, self._requests = _pipe(its_ends, its_end=0)
            self._results, results = _pipe(its_ends, its_end=1)
            with contextlib.suppress(OSError):  # beyond what one user may have, pipes stay as they are
                fcntl.fcntl(results, fcntl.F_SETPIPE_SZ, _RESULT_PIPE_BYTES)
            os.set_blocking(self._results, False)
            self._bodies = SharedBodies()
            asked = ChildSettings(settings.delivery, settings.memory_bytes, self._bodies.fd, lifeline)
            self._process = subprocess.Popen(  # noqa: S603 - this very interpreter and a module of this project
                [sys.executable, "-P", "-m", settings.module, asked.to_text()],
                stdin=requests,
                stdout=results,
                pass_fds=(self._bodies.fd, lifeline),
                env=_environment(),
            )
        self._queueing = RunQueueWait(self._process.pid)
        self._hear()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def results_fd(self) -> int:
        """Readable when results are there, or the process has ended."""
        return self._results

    @property
    def deadline(self) -> float | None:
        """When the file in hand, or the start, will have taken too long, by `time.monotonic`.

        The time does not count that the process waited for a processor: on a busy machine no file is at fault for it.
        """
        if not self._ready:
            return self._started + _START_TIMEOUT_S
        if not self.given:
            return None
        # What the process says of its clock is believed within bounds: it may be out of its mind.
        begun = self._bodies.progress[1]
        begun = min(max(begun, self._heard), self._heard + _HELD_BACK_S) if math.isfinite(begun) else self._heard
        return begun + self._settings.timeout_s + self._queueing.seconds() - self._queued_before

    def give(self, index: int, body: memoryview) -> bool:
        """Gives it a body to decode, which `send` tells it of. False if there is no room for it now."""
        begin = self._bodies.put(body)
        if begin is not None:
            if not self.given:
                self._hear()
            self.given.append(index)
            self._unsent += REQUEST.pack(begin, len(body))
        return begin is not None

    def send(self) -> None:
        """Tells it of what it was given."""
        if self._unsent:
            # A few dozens of bytes each: the pipe holds more of them than anybody is given.
            with contextlib.suppress(BrokenPipeError):  # `receive` will see that it has ended
                os.write(self._requests, self._unsent)
            self._unsent.clear()

    def receive(self) -> Iterator[tuple[int, Result] | None]:
        """Yields what has arrived as (index of the body, its result), and None if nothing more will come."""
        try:
            received = os.readv(self._results, [self._received.space()])
        except BlockingIOError:
            return
        if not received:
            yield None
            return
        self._received.filled(received)
        try:
            yield from self._arrived()
        except BrokenFrameError:
            self._broken = True
            yield None

    def _arrived(self) -> Iterator[tuple[int, Result] | None]:
        if not self._ready and (hello := self._received.take(len(HELLO))) is not None:
            if hello != HELLO:
                raise BrokenFrameError("no greeting")
            self._ready = True
            self._hear()
        while self._ready and (result := self._received.take_result()) is not None:
            if not self.given:
                raise BrokenFrameError("a result of nothing")
            self._taken += 1
            self._hear()
            self._bodies.done()
            yield self.given.popleft(), result
            if result.leaving:
                yield None
                return

    def _hear(self) -> None:
        """Notes that it lives, or has begun something."""
        self._heard = time.monotonic()
        self._queued_before = self._queueing.seconds()

    def bury(self, *, overdue: bool) -> str:
        """Ends the process for good and says what it died of, the same for the same file.

        Args:
            overdue: It is over its time.

        Raises:
            TransientError: It never got ready.
        """
        code = self._end()
        self._blame(first=overdue or self._broken)
        cause = "no valid result" if self._broken else self._cause(code)
        if not self._ready:
            raise TransientError(f"the decoding process ended at its start: {cause}. Its standard error says more")
        return f"more than {self._settings.timeout_s:g} s" if overdue else cause

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        if not self._ended:
            self._end()

    def _end(self) -> int:
        self._ended = True
        for end in (self._requests, self._results, self._lifeline):
            os.close(end)
        self._queueing.close()
        # Its output may be closed and it lives on. One that has ended keeps the code that it ended with.
        self._process.kill()
        code = self._process.wait()
        self._begun = self._bodies.progress[0]
        self._bodies.close()
        return code

    def _blame(self, *, first: bool) -> None:
        """Finds the file in hand.

        Args:
            first: It is the first without a result, if the process does not say that it is a later one.
        """
        number = self._begun
        if self.given and (first or number > self._taken):
            # Within bounds, whatever a process that was out of its mind has put there.
            later = 1 if self._broken else max(1, number - self._taken)
            self.place_in_hand = min(later, len(self.given)) - 1
        self.idle = not (number or self._taken or self.place_in_hand is not None)

    def _cause(self, code: int) -> str:
        if code == OUT_OF_MEMORY:
            return f"more than {self._settings.memory_bytes / 1e6:g} MB"
        if code >= 0:
            return f"exit code {code}"
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:  # a real-time signal
            return f"signal {-code}"


def _max_image_bytes(settings: DecoderSettings) -> int:
    """No image is longer: neither than its raw pixels nor than the memory that it is made in."""
    return min(settings.memory_bytes, max(_MOST_IMAGE_BYTES, 4 * settings.delivery.max_pixels))


def _pipe(its_ends: contextlib.ExitStack, its_end: int) -> tuple[int, int]:
    """A pipe of which one end, 0 or 1, is the other process's, and is closed here in the end."""
    ends = os.pipe()
    its_ends.callback(os.close, ends[its_end])
    return ends


def _environment() -> dict[str, str]:
    # The places that this process imports from, so that the other one finds the same modules.
    path = os.pathsep.join(str(Path(place).absolute()) if place else os.getcwd() for place in sys.path)
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**passed_on, **_ONE_THREAD, **KEPT_MEMORY, "PYTHONPATH": path}
