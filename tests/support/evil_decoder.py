"""A decoding process out of its mind: it does what the first body that it is given says, with the real pipes."""

import mmap
import os
import signal
import struct
import sys
import time

from curation.images.decoder_frames import HELLO, PROGRESS, REQUEST, ChildSettings
from curation.images.shared_bodies import SeenBodies

_FRAME = struct.Struct("<IIIIIfHHBBB")


def _misbehave(wish: str, progress: mmap.mmap) -> None:
    if wish.startswith("clock "):
        PROGRESS.pack_into(progress, 0, 1, float(wish[6:]))
    elif wish == "closes its output":
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        PROGRESS.pack_into(progress, 0, 1, time.monotonic())
        os.close(1)
    elif wish == "no such outcome":
        os.write(1, _FRAME.pack(0, 0, 0, 0, 0, 0.0, 0, 0, 200, 0, 0))
    elif wish == "two results":
        os.write(1, _FRAME.pack(0, 1, 1, 1, 1, 0.0, 0, 0, 0, 1, 7) * 2)
    elif wish == "endless image":
        os.write(1, _FRAME.pack(0xFFFFFFFF, 1, 1, 1, 1, 0.0, 0, 0, 0, 0, 3))
        while True:
            os.write(1, bytes(1 << 20))
    elif wish == "odd signal":
        PROGRESS.pack_into(progress, 0, 1, time.monotonic())
        os.kill(os.getpid(), signal.SIGRTMIN + 2)
    time.sleep(1000)


def main() -> None:
    settings = ChildSettings.of_text(sys.argv[1])
    os.write(1, HELLO)
    begin, length = REQUEST.unpack(os.read(0, REQUEST.size))
    wish = SeenBodies(settings.shared).read(begin, length).decode()
    _misbehave(wish, mmap.mmap(settings.shared, mmap.PAGESIZE))


if __name__ == "__main__":
    main()
