"""A small web server on loopback whose every answer a test writes by hand, down to the bytes and the RST."""

import asyncio
import socket
import ssl
import struct
import threading
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable

Handler = Callable[["Exchange"], Awaitable[None]]


class Exchange:
    """One request and the raw connection to answer it on: the how many-th for its path, and over its connection."""

    def __init__(
        self, path: str, headers: dict[str, str], writer: asyncio.StreamWriter, nth: int, nth_on_connection: int
    ) -> None:
        self.path = path
        self.headers = headers
        self.writer = writer
        self.nth = nth
        self.nth_on_connection = nth_on_connection

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def respond(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await self.send("\r\n".join([*lines, "", ""]).encode() + body)

    def reset(self) -> None:
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def hang_up(self) -> None:
        self.writer.close()


class RawWeb:
    """Answers by path; remembers who asked for what, and how many at a time."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.connections = 0
        self.handlers: dict[str, Handler] = {}
        self.asked: Counter[str] = Counter()
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.together: dict[str, int] = defaultdict(int)
        self.most_together: dict[str, int] = defaultdict(int)
        self.loop = asyncio.new_event_loop()
        self.port = 0
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._start())

    def _run(self, work: Awaitable[None]) -> None:
        async def wrapped() -> None:
            await work

        asyncio.run_coroutine_threadsafe(wrapped(), self.loop).result(10)

    async def _start(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = server.sockets[0].getsockname()[1]
        for host in ("127.0.0.2", "127.0.0.3"):
            await asyncio.start_server(self._serve, host, self.port, ssl=self.tls)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    def on(self, path: str, status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None) -> str:
        async def handler(exchange: Exchange) -> None:
            await exchange.respond(status, body, headers)

        return self.handle(path, handler)

    def redirect(self, path: str, location: str, status: int = 302) -> str:
        return self.on(path, status, b"", {"Location": location})

    def handle(self, path: str, handler: Handler) -> str:
        self.handlers[path] = handler
        return self.url(path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        nth = 1
        try:
            while await self._serve_one(reader, writer, nth):
                nth += 1
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, nth: int) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split(" ")[1]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        self.asked[path] += 1
        self.requests.append((path, headers))
        host = headers["host"].partition(":")[0]
        self.together[host] += 1
        self.most_together[host] = max(self.most_together[host], self.together[host])
        exchange = Exchange(path, headers, writer, self.asked[path], nth)
        try:
            await self.handlers.get(path, _not_found)(exchange)
        finally:
            self.together[host] -= 1
        return not writer.is_closing()

    def close(self) -> None:
        async def cancel_all() -> None:
            current = asyncio.current_task()
            for task in asyncio.all_tasks():
                if task is not current:
                    task.cancel()
            await asyncio.sleep(0)

        self._run(cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _not_found(exchange: Exchange) -> None:
    await exchange.respond(404)
