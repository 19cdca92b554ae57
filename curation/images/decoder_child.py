"""The decoding process: reads bodies, writes images, and dies of what its decoders do instead of its worker.

`python -m curation.images.decoder_child SETTINGS` is started by `decoder_process`. Its limits hold for it alone.
"""

from __future__ import annotations

import fcntl
import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Callable

import cv2

from curation.images.decoder_frames import (
    HELLO,
    OUT_OF_MEMORY,
    REQUEST,
    ChildSettings,
    Result,
    pack_result,
)
from curation.images.delivery import Delivery, DeliverySettings, Refusal, deliver
from curation.images.shared_bodies import SeenBodies
from schemas.outcomes import FailureReason, Outcome

Deliver = Callable[[bytes, DeliverySettings], Delivery]

_MAX_OPEN_FILES = 32
_FILES_BETWEEN_LOOKS = 64
"""Images between two looks at the process's size."""
_MAX_HELD_BYTES = 1 << 18
_MAX_HELD_S = 0.25
_MAX_ASKED = 64
_MAX_PIECES = 64


class _Streams:
    """The bodies that come in and the results that go out.

    Results are held back while there is more to do: waking up whoever waits for them costs both sides. They are
    never held while this process waits.
    """

    def __init__(self, requests: int, results: int, bodies: SeenBodies) -> None:
        self._requests = requests
        self._results = results
        self._bodies = bodies
        self._asked = bytearray()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._flushed_at = 0.0

    def next_body(self) -> bytes | None:
        """The next body, None if there is none to come."""
        while len(self._asked) < REQUEST.size:
            self.flush()
            asked = os.read(self._requests, _MAX_ASKED * REQUEST.size)
            if not asked:
                return None
            self._asked += asked
        begin, length = REQUEST.unpack_from(self._asked)
        del self._asked[: REQUEST.size]
        return self._bodies.read(begin, length)

    def write(self, *pieces: bytes) -> None:
        """Sends these bytes, now or later."""
        self._held += pieces
        self._held_bytes += sum(map(len, pieces))
        # Whoever waits for results takes a long silence for a file that never ends.
        if self._held_bytes > _MAX_HELD_BYTES or time.monotonic() - self._flushed_at > _MAX_HELD_S:
            self.flush()

    def flush(self) -> None:
        """Sends what was held back."""
        while self._held:
            sent = os.writev(self._results, self._held[:_MAX_PIECES])
            while self._held and sent >= len(self._held[0]):
                sent -= len(self._held.pop(0))
            if sent:
                self._held[0] = self._held[0][sent:]
        self._held_bytes = 0
        self._flushed_at = time.monotonic()


def main(decode: Deliver = deliver) -> None:
    """Serves until its standard input ends."""
    settings = ChildSettings.of_text(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with(settings.lifeline)
    bodies = SeenBodies(settings.shared)
    streams = _take_streams(bodies)
    cv2.setNumThreads(1)
    gc.freeze()
    started_bytes = _address_space_bytes()
    _limit_resources(started_bytes + settings.memory_bytes)
    streams.write(HELLO)
    streams.flush()
    try:
        _serve(streams, bodies, settings.delivery, decode, started_bytes + settings.memory_bytes // 2)
        streams.flush()
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except BrokenPipeError:
        pass
    # Nothing is left to be tidied up, and tearing down the interpreter costs time.
    os._exit(0)


def _serve(streams: _Streams, bodies: SeenBodies, settings: DeliverySettings, decode: Deliver, too_large: int) -> None:
    number = 0
    while (body := streams.next_body()) is not None:
        number += 1
        begin = time.monotonic()
        bodies.note_progress(number, begin)
        delivery = _decoded(body, settings, decode)
        delivery.seconds = time.monotonic() - begin
        leaving = number % _FILES_BETWEEN_LOOKS == 0 and _address_space_bytes() > too_large
        streams.write(*pack_result(Result(delivery, leaving)))
        if number == 1:
            # It may have been suspected of another process's death: whatever happens now, it is cleared.
            streams.flush()
        bodies.note_progress(number, 0.0)
        if leaving:
            return


def _decoded(body: bytes, settings: DeliverySettings, decode: Deliver) -> Delivery:
    try:
        return decode(body, settings)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a worker's boundary: whatever a file does to its decoder costs one row
        return Delivery(refusal=Refusal(Outcome.FAILED, FailureReason.DECODER_CRASH, type(error).__name__))


def _take_streams(bodies: SeenBodies) -> _Streams:
    """The standard streams, which nobody else can get at any more: what libraries print must not look like results."""
    requests, results, nowhere = os.dup(0), os.dup(1), os.open(os.devnull, os.O_RDWR)
    # Only now, so that a failure to start is seen: libtiff writes there about every odd file.
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
    return _Streams(requests, results, bodies)


def _end_with(lifeline: int) -> None:
    """Has the kernel end this process, wherever it is, as soon as the other end of a pipe is closed.

    The end of the input would end it too, but not before the file in hand is decoded. (The kernel's
    PR_SET_PDEATHSIG follows the thread that started a process, and threads of a worker come and go.)
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _limit_resources(address_space_bytes: int) -> None:
    wanted = {
        resource.RLIMIT_AS: address_space_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: _MAX_OPEN_FILES,
    }
    for kind, most in wanted.items():
        allowed = resource.getrlimit(kind)[1]
        most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
        resource.setrlimit(kind, (most, most))


def _address_space_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main()
