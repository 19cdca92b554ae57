"""nginx over loopback, serving a folder: a server that costs as little as can be."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from curation.errors import RecipeError

_START_S = 10.0
_CONFIG = """\
worker_processes 1;
daemon off;
pid {state}/nginx.pid;
error_log {state}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    default_type application/octet-stream;
    types {{ image/jpeg jpg; }}
    client_body_temp_path {state}/body;
    proxy_temp_path {state}/proxy;
    fastcgi_temp_path {state}/fastcgi;
    uwsgi_temp_path {state}/uwsgi;
    scgi_temp_path {state}/scgi;
    server {{ {listen} root {folder}; }}
}}
"""


@contextmanager
def serve_files(folder: Path, state: Path, addresses: Sequence[str] = ("127.0.0.1",)) -> Iterator[int]:
    """Serves a folder while the context lasts, and gives the port.

    Args:
        folder: What is served.
        state: An empty folder for nginx' own files.
        addresses: Where it listens, each of them on the same port.

    Raises:
        RecipeError: There is no nginx on this machine, or it does not start.
    """
    binary = shutil.which("nginx")
    if binary is None:
        raise RecipeError("the benchmark needs nginx: install the package `nginx-light` or `nginx`")
    state.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    listen = " ".join(f"listen {address}:{port};" for address in addresses)
    config = state / "nginx.conf"
    config.write_text(_CONFIG.format(state=state.resolve(), folder=folder.resolve(), listen=listen), encoding="utf-8")
    server = subprocess.Popen([binary, "-c", str(config.resolve())], stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        _await_port(addresses[0], port, server)
        yield port
    finally:
        server.terminate()
        server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_port(address: str, port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((address, port)) == 0:
                return
        time.sleep(0.05)
    raise RecipeError("nginx did not start")
