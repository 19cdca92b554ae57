"""What slow hosts and dead URLs cost: the same images from hosts that are all well, and from hosts that are not.

`make bench-latency`. Both are timed from the command to its end, waits for the last hosts included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from jobs.bench.downloaders import PARTS, Downloader, write_url_list
from jobs.bench.file_server import serve_files
from jobs.bench.photos import PhotoSet, make_photos
from jobs.exit_codes import ExitCode, exit_code_of
from stages.fetch.part_fetch import LoopThread

_HOSTS = 500
_SLOW_HOSTS = _HOSTS // 50
_HANG_S = 3.0
_DEAD_EVERY = 20
_SILENT_EVERY = 5
"""Of the hosts that are gone, these let nobody connect and do not say so; the others refuse."""
_ROUNDS_OF_PHOTOS = 3
_RATES = _HEALTHY, _TROUBLED = "healthy_urls_per_s", "troubled_urls_per_s"


@dataclass(frozen=True, slots=True)
class _Web:
    photo_count: int
    port: int
    rows: int

    def urls(self, *, troubled: bool) -> tuple[list[str], int]:
        """A URL for each row, hosts in turn, and how many of them have an image."""
        urls, alive = [], 0
        for index in range(self.rows):
            dead = troubled and index % _DEAD_EVERY == 0
            host = index % _HOSTS
            if dead:
                # Half of the dead are on hosts that are gone, half are pages that are gone.
                address, path = (_gone(host), "x.jpg") if index % (2 * _DEAD_EVERY) else (_well(host), "gone.jpg")
                path = f"{path}?{index}"
            else:
                path = f"{PhotoSet.path_of(index % self.photo_count)}?{index}"
                address = _slow(host) if troubled and host < _SLOW_HOSTS else _well(host)
            alive += not dead
            urls.append(f"http://{address}:{self.port}/{path}")
        return urls, alive


def main(argv: Sequence[str] | None = None) -> int:
    """Runs both and prints the share of the healthy rate that is left."""
    parser = argparse.ArgumentParser(prog="python -m jobs.bench.latency", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/bench-fetch"))
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(argv)
    return exit_code_of(lambda: _bench(args))


def _bench(args: argparse.Namespace) -> int:
    images = args.images - args.images % PARTS
    photos = args.out / "photos"
    make_photos(photos, images)
    rows = images * _ROUNDS_OF_PHOTOS
    tool = Downloader("curation", args.out / "latency", concurrency=64)
    wells = [_well(host) for host in range(_HOSTS)]
    rounds = []
    with serve_files(photos, args.out / "nginx", wells) as port, _slow_hosts(photos, port), _silent_hosts(port):
        web = _Web(images, port, rows)
        for number in range(args.rounds):
            rounds.append({name: _rate(tool, args.out, web, troubled=name != _HEALTHY) for name in _RATES})
            sys.stdout.write(json.dumps({"round": number, **rounds[-1]}) + "\n")
            sys.stdout.flush()
    result = {
        "bench": "latency",
        "urls": rows,
        "hosts": _HOSTS,
        "hanging_hosts": _SLOW_HOSTS,
        "hang_s": _HANG_S,
        "dead_urls": 1 / _DEAD_EVERY,
        "silent_hosts": len(_silent()),
        "rounds": len(rounds),
        **{name: round(median(done[name] for done in rounds), 1) for name in _RATES},
        "share_left": round(median(done[_TROUBLED] / done[_HEALTHY] for done in rounds), 3),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return ExitCode.DONE


def _rate(tool: Downloader, out: Path, web: _Web, *, troubled: bool) -> float:
    """URLs per second of a whole run."""
    urls, alive = web.urls(troubled=troubled)
    return web.rows / tool.run(write_url_list(out / "latency-urls.parquet", urls), len(urls), alive).wall_s


def _well(host: int) -> str:
    return _address(1, host)


def _slow(host: int) -> str:
    return _address(2, host)


def _gone(host: int) -> str:
    return _address(3, host)


def _address(network: int, host: int) -> str:
    return f"127.{network}.{host // 250}.{host % 250 + 1}"


@contextmanager
def _slow_hosts(photos: Path, port: int) -> Iterator[None]:
    """Serves the photos on the addresses of the slow hosts, each response after `_HANG_S`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(_HANG_S)
        path = photos / request.split(b" ", 2)[1].decode().lstrip("/").partition("?")[0]
        body, status = (path.read_bytes(), "200 OK") if path.is_file() else (b"", "404 Not Found")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    async def listen() -> None:
        for host in range(_SLOW_HOSTS):
            await asyncio.start_server(answer, _slow(host), port)

    thread = LoopThread()
    thread.run(listen())
    try:
        yield
    finally:
        thread.stop()


def _silent() -> list[str]:
    """Addresses of hosts that are gone and do not say so."""
    gone = sorted({index % _HOSTS for index in range(_DEAD_EVERY, 2 * _HOSTS, 2 * _DEAD_EVERY)})
    return [_gone(host) for host in gone[::_SILENT_EVERY]]


@contextmanager
def _silent_hosts(port: int) -> Iterator[None]:
    """Sockets whose queue of connections is full: the kernel drops what knocks."""
    with ExitStack() as sockets:
        for address in _silent():
            listener = sockets.enter_context(socket.socket())
            listener.bind((address, port))
            listener.listen(0)
            for _ in range(2):
                filler = sockets.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex((address, port))
        yield


if __name__ == "__main__":
    sys.exit(main())
