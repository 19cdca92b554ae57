"""The decoding process with a decoder that dies of bodies which ask for it: whatever supervises it is the real thing.

A body asks by what stands behind its last `DIE:`. Any other body is decoded as ever.
"""

import ctypes
import os
import re
import signal
import time

from curation.images.decoder_child import main
from curation.images.delivery import Delivery, DeliverySettings, deliver

_hoard: list[bytearray] = []
_broken = False


def asking(body: bytes, wish: str) -> bytes:
    """A body that asks for a death."""
    return body + b"DIE:" + wish.encode()


def _loop() -> None:
    # In native code that lets nobody else run, as a decoder in an endless loop does.
    re.fullmatch("(a+)+", "a" * 64 + "b")


def _hoard_memory() -> None:
    while True:
        _hoard.append(bytearray(1 << 24))


def _die_once(flag: str) -> None:
    if not os.path.exists(flag):
        os.close(os.open(flag, os.O_CREAT))
        os.kill(os.getpid(), signal.SIGKILL)


def _die(wish: str) -> None:
    global _broken
    name, _, argument = wish.partition(" ")
    if name == "killed_once":
        _die_once(argument)
    elif name == "leak":
        _hoard.append(bytearray(int(argument)))
    elif name == "break":
        _broken = True
    elif name == "sleep":
        time.sleep(float(argument))
    elif name == "spin":
        until = time.process_time() + float(argument)
        while time.process_time() < until:
            pass
    else:
        {
            "abort": os.abort,
            "segfault": lambda: ctypes.string_at(0),
            "loop": _loop,
            "memory": _hoard_memory,
            "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
            "exit": lambda: os._exit(3),
            "print": lambda: os.write(1, b"libraries print what they like\n" * 10),
            "raise": lambda: [].pop(),
        }[name]()


def _decode(body: bytes, settings: DeliverySettings) -> Delivery:
    if _broken:
        os.abort()
    _, found, wish = body.rpartition(b"DIE:")
    if found:
        _die(wish.decode())
    return deliver(body, settings)


if __name__ == "__main__":
    main(_decode)
