"""Ports for servers of tests that run beside each other."""

import random
import socket

from jobs.sandbox import web

# Above the ports of Ray's workers, below those that systems hand out. A port that was handed out, and was let go for
# a server to take, may go to somebody's outgoing connection before the server has begun.
_PORTS = range(20_000, 32_768)


def free_port():
    """A port that nobody listens at, on any interface."""
    for port in random.SystemRandom().sample(_PORTS, 100):
        with socket.socket() as listener:
            try:
                listener.bind(("", port))
            except OSError:
                continue
            return port
    raise AssertionError("none of 100 ports is free")


def port_of_its_own():
    """A port for a sandbox web: several processes of tests may ask at once, and would all be given the demo's."""
    return web.free_port(free_port())
