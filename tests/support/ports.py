"""Ports for servers of tests that run beside each other."""

import socket

from jobs.sandbox.web import free_port


def port_of_its_own():
    """A port for a sandbox web: several processes of tests may ask at once, and would all be given the demo's."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    return free_port(port)
