"""Serves a sandbox web on loopback: `python -m jobs.sandbox.server FOLDER`.

`GET /-/stats` tells how many requests were answered; it is not counted itself. Every other
request's path is appended to `FOLDER/requests.log` before it is answered.
"""

import argparse
import asyncio
import json
import logging
import os
import socket
import struct
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from jobs.sandbox.pages import html_page
from jobs.sandbox.site import Answer, Behaviour, Site
from jobs.sandbox.web_folder import SandboxWeb, open_web

logger = logging.getLogger(__name__)

STATS_PATH = "/-/stats"
ROBOTS_TXT = "User-agent: *\nDisallow: /private/\n"

_TRICKLE_PAUSE_S = 0.2
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 5.0
_SHORT_SHARE = 0.6
_READY = "ready"
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server in a process of its own."""

    web: SandboxWeb
    pid: int

    def stats(self) -> dict[str, Any]:
        """Returns `{"requests": n, "by_path": {path: n}}` since the server's start."""
        url = f"http://{self.web.hosts[0]}:{self.web.port}{STATS_PATH}"
        with urllib.request.urlopen(url, timeout=10) as response:
            stats: dict[str, Any] = json.load(response)
        return stats


@contextmanager
def serve(folder: Path) -> Iterator[RunningServer]:
    """Runs the server of the web in a folder, from when it answers until the block is left.

    The server also ends when the process that started it does.

    Raises:
        FileNotFoundError: if the folder holds no complete web.
        RuntimeError: if the server does not start, as when its port is taken.
    """
    sandbox = open_web(folder)
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "jobs.sandbox.server", str(folder), "--until-stdin-closes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    try:
        _wait_until_ready(process, sandbox)
        yield RunningServer(sandbox, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _wait_until_ready(process: "subprocess.Popen[str]", sandbox: SandboxWeb) -> None:
    watchdog = threading.Timer(_START_TIMEOUT_S, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline() if process.stdout else ""
    finally:
        watchdog.cancel()
    if line.strip() != _READY:
        raise RuntimeError(
            f"the sandbox web's server did not start on port {sandbox.port} (see its message above); "
            "if the port is taken, build the web with another port"
        )


class SandboxServer:
    """Answers requests as a site's index says, and counts them."""

    def __init__(self, sandbox: SandboxWeb) -> None:
        """Opens the site and the request log."""
        self._site = Site(sandbox.site_path)
        self._asked: Counter[tuple[str, str]] = Counter()
        self._log = os.open(sandbox.request_log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def close(self) -> None:
        """Closes the request log."""
        os.close(self._log)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one request."""
        host, path = request.host.partition(":")[0], request.path
        if path == STATS_PATH:
            return web.json_response(self._stats())
        self._asked[host, path] += 1
        # One write to a file opened for appending is whole even when servers share the file.
        os.write(self._log, f"{path}\n".encode())
        if path == "/robots.txt":
            return web.Response(text=ROBOTS_TXT)
        answer = self._site.answer(host, path)
        if answer is None:
            return _page(404)
        return await self._by_behaviour(request, answer)

    def _stats(self) -> dict[str, Any]:
        by_path: Counter[str] = Counter()
        for (_, path), count in self._asked.items():
            by_path[path] += count
        return {"requests": sum(by_path.values()), "by_path": dict(by_path)}

    async def _by_behaviour(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        times = self._asked[answer.host, answer.path]
        if answer.behaviour == Behaviour.RESET:
            return _reset(request)
        if answer.behaviour == Behaviour.TRICKLE:
            return await _trickle(request, answer, self._site.body(answer))
        if answer.behaviour == Behaviour.SHORT:
            return await _short(request, answer, self._site.body(answer))
        if answer.behaviour == Behaviour.HEALS and times <= answer.times:
            return _page(500)
        if answer.behaviour == Behaviour.WAIT and times <= answer.times:
            return _page(429, {"Retry-After": "1"})
        if answer.location:
            return _page(answer.status, {"Location": answer.location})
        if answer.length == 0:
            return _page(answer.status)
        return web.Response(status=answer.status, body=self._site.body(answer), headers=_headers(answer))


def _headers(answer: Answer) -> dict[str, str]:
    headers = {"Content-Type": answer.content_type}
    if answer.robots_tag:
        headers["X-Robots-Tag"] = answer.robots_tag
    return headers


def _page(status: int, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=html_page(str(status)), content_type="text/html", headers=headers)


def _reset(request: web.BaseRequest) -> web.StreamResponse:
    """Ends the connection with RST instead of FIN: that is what closing without lingering does."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.StreamResponse()


async def _trickle(request: web.BaseRequest, answer: Answer, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers=_headers(answer))
    response.content_length = len(body) + 2**20
    await response.prepare(request)
    at = 0
    while request.transport is not None and not request.transport.is_closing():
        await response.write(body[at % len(body) : at % len(body) + 1])
        at += 1
        await asyncio.sleep(_TRICKLE_PAUSE_S)
    return response


async def _short(request: web.BaseRequest, answer: Answer, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers=_headers(answer))
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: round(len(body) * _SHORT_SHARE)])
    if request.transport is not None:
        request.transport.close()
    return response


async def _run(sandbox: SandboxWeb, until_stdin_closes: bool) -> None:
    server = SandboxServer(sandbox)
    runner = web.ServerRunner(web.Server(server.answer, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    try:
        for host in sandbox.hosts:
            await web.TCPSite(runner, host, sandbox.port, backlog=1024).start()
        sys.stdout.write(f"{_READY}\n")
        sys.stdout.flush()
        if until_stdin_closes:
            await asyncio.to_thread(sys.stdin.read)
        else:
            await asyncio.Event().wait()
    finally:
        await runner.cleanup()
        server.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until interrupted; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m jobs.sandbox.server", description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder that build_web has filled")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input does")
    chosen = parser.parse_args(arguments)
    try:
        asyncio.run(_run(open_web(chosen.folder), chosen.until_stdin_closes))
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
