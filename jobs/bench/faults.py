"""A web server on loopback with every fault there is, by the path asked for: `python -m jobs.bench.faults PORT`."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from schemas.outcomes import FailureReason as Reason

MAX_BODY_BYTES = 200_000
"""What the client is to be told: longer bodies are a fault here."""

_IMAGE = bytes(range(256)) * 80
_BOMB = gzip.compress(bytes(20 * MAX_BODY_BYTES))
_TRICKLE_S = 0.05

Script = Callable[["Answering", int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to answer.

    Attributes:
        share: Of a thousand URLs.
        reasons: What may become of a row; empty where the body must arrive.
        script: How the server answers, None for URLs that never reach it.
    """

    share: int
    reasons: frozenset[Reason]
    script: Script | None = None


class Answering:
    """The connection over which one request is answered."""

    def __init__(self, writer: asyncio.StreamWriter, nth: int) -> None:
        self._writer = writer
        self.nth = nth

    async def send(self, *pieces: bytes) -> None:
        """Sends bytes as they are."""
        for piece in pieces:
            self._writer.write(piece)
        await self._writer.drain()

    async def respond(self, status: int, body: bytes = b"", *headers: str) -> None:
        """Sends a well-formed response."""
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
        await self.send("\r\n".join(lines).encode() + body)

    def hang_up(self) -> None:
        """FIN."""
        self._writer.close()

    def reset(self) -> None:
        """RST."""
        connection: socket.socket = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


def body_of(number: int) -> bytes:
    """The body behind every URL with that number that has one: 2 to 18 KB."""
    return number.to_bytes(8, "big") + _IMAGE[: 2000 + number * 7919 % 16_000]


async def _fine(answer: Answering, number: int) -> None:
    await answer.respond(200, body_of(number), f'ETag: "{number}"')


async def _until_close(answer: Answering, number: int) -> None:
    await answer.send(b"HTTP/1.0 200 OK\r\n\r\n", body_of(number))
    answer.hang_up()


async def _chunked(answer: Answering, number: int) -> None:
    body = body_of(number)
    await answer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for start in range(0, len(body), 1500):
        piece = body[start : start + 1500]
        await answer.send(f"{len(piece):x}\r\n".encode(), piece, b"\r\n")
    await answer.send(b"0\r\n\r\n")


async def _closes_idle(answer: Answering, number: int) -> None:
    await answer.respond(200, body_of(number))
    await asyncio.sleep(number % 5 / 1000)
    answer.hang_up()


async def _redirected(answer: Answering, number: int) -> None:
    await answer.respond(302, b"moved", f"Location: /fine/{number}")


async def _compressed(answer: Answering, number: int) -> None:
    await answer.respond(200, gzip.compress(body_of(number), 1), "Content-Encoding: gzip")


async def _heals(answer: Answering, number: int) -> None:
    await answer.respond(200 if answer.nth > 1 else 503, body_of(number))


async def _throttles(answer: Answering, number: int) -> None:
    await answer.respond(200 if answer.nth > 1 else 429, body_of(number), "Retry-After: 0")


async def _missing(answer: Answering, number: int) -> None:
    await answer.respond(404, b"nothing here")


async def _resets(answer: Answering, number: int) -> None:
    if number % 2:
        await answer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\nsome")
        await asyncio.sleep(0.005)
    answer.reset()


async def _truncated(answer: Answering, number: int) -> None:
    await answer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", body_of(number))
    answer.hang_up()


async def _cut_chunks(answer: Answering, number: int) -> None:
    await answer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nsome")
    answer.hang_up()


async def _malformed(answer: Answering, number: int) -> None:
    answers = (b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46")
    await answer.send(answers[number % len(answers)])
    answer.hang_up()


async def _bomb(answer: Answering, number: int) -> None:
    await answer.respond(200, _BOMB, "Content-Encoding: gzip")


async def _endless(answer: Answering, number: int) -> None:
    await answer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await answer.send(_IMAGE)


async def _silent(answer: Answering, number: int) -> None:
    await asyncio.sleep(60)


async def _trickles(answer: Answering, number: int) -> None:
    await answer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
    while True:
        await answer.send(b"x")
        await asyncio.sleep(_TRICKLE_S)


async def _loops(answer: Answering, number: int) -> None:
    await answer.respond(302, b"", f"Location: /loops/{number}")


async def _wanders(answer: Answering, number: int) -> None:
    await answer.respond(302, b"", f"Location: /wanders/{number + 1_000_000}")


async def _leads_inside(answer: Answering, number: int) -> None:
    await answer.respond(302, b"", "Location: http://169.254.169.254/latest/meta-data/")


async def _empty(answer: Answering, number: int) -> None:
    await answer.respond(200)


def _fault(share: int, *reasons: Reason, script: Script | None = None) -> Fault:
    return Fault(share, frozenset(reasons), script)


FAULTS = {
    "fine": _fault(580, script=_fine),
    "until_close": _fault(20, script=_until_close),
    "chunked": _fault(60, script=_chunked),
    "closes_idle": _fault(60, script=_closes_idle),
    "redirected": _fault(50, script=_redirected),
    "compressed": _fault(20, script=_compressed),
    "heals": _fault(30, script=_heals),
    "throttles": _fault(4, script=_throttles),
    "missing": _fault(40, Reason.HTTP_NOT_FOUND, script=_missing),
    "resets": _fault(15, Reason.CONNECTION_RESET, script=_resets),
    "truncated": _fault(20, Reason.TRUNCATED_BODY, script=_truncated),
    "cut_chunks": _fault(10, Reason.TRUNCATED_BODY, script=_cut_chunks),
    "malformed": _fault(15, Reason.HTTP_MALFORMED, script=_malformed),
    "bomb": _fault(5, Reason.BODY_TOO_LARGE, script=_bomb),
    "endless": _fault(5, Reason.BODY_TOO_LARGE, script=_endless),
    "silent": _fault(8, Reason.READ_TIMEOUT, script=_silent),
    "trickles": _fault(4, Reason.TOTAL_TIMEOUT, script=_trickles),
    "loops": _fault(10, Reason.REDIRECT_LOOP, script=_loops),
    "wanders": _fault(5, Reason.TOO_MANY_REDIRECTS, script=_wanders),
    "leads_inside": _fault(5, Reason.BLOCKED_ADDRESS, script=_leads_inside),
    "empty": _fault(6, Reason.EMPTY_BODY, script=_empty),
    "dead": _fault(15, Reason.CONNECTION_REFUSED, Reason.HOST_DOWN),
    "inside": _fault(8, Reason.BLOCKED_ADDRESS),
    "no_url": _fault(5, Reason.INVALID_URL),
}
"""By the first word of the path. Shares add up to a thousand."""


class _Server:
    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode()
                self._asked[path] += 1
                _, kind, number = path.split("/")
                script = FAULTS[kind].script
                assert script is not None
                await script(Answering(writer, self._asked[path]), int(number))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _serve(port: int) -> None:
    server = await asyncio.start_server(_Server().serve, "0.0.0.0", port, backlog=4096)  # noqa: S104 - 127.0.0.0/8
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    # The server ends when whoever started it does.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
