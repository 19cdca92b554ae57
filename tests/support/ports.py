"""Ports for servers of tests that run beside each other."""

import random
import socket

from jobs.sandbox import web

# Above the ports of Ray's workers, below those that systems hand out. A port that was handed out, and was let go for
# a server to take, may go to somebody's outgoing connection before the server has begun.
_FIRST, _END = 20_000, 32_768
_unused = iter(random.SystemRandom().sample(range(_FIRST, _END), _END - _FIRST))


def free_port():
    """A port that nobody listens at, on any interface: another one each time."""
    for port in _unused:
        with socket.socket() as listener:
            try:
                listener.bind(("", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def port_of_its_own():
    """A port for a sandbox web: several processes of tests may ask at once, and would all be given the demo's."""
    return web.free_port(free_port())
