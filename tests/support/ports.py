"""Ports for servers of tests that run beside each other."""

import socket

from jobs.sandbox import web


def free_port():
    """A port of the loopback interface that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def port_of_its_own():
    """A port for a sandbox web: several processes of tests may ask at once, and would all be given the demo's."""
    return web.free_port(free_port())
