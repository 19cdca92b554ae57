"""A proxy before a server that speaks S3, which does what stores do on bad days. The servers behind it are real."""

import http.client
import re
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

SLOW_DOWN = (503, b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
INTERNAL_ERROR = (500, b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>")
ACCESS_DENIED = (403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
ERROR_IN_200 = (200, INTERNAL_ERROR[1])


@dataclass(frozen=True)
class Asked:
    """A request: its method, the key without the bucket, and whether it lists."""

    method: str
    key: str
    query: str

    @property
    def lists(self):
        return "list-type=2" in self.query


@dataclass
class Fault:
    """What happens to the requests that it is meant for.

    Attributes:
        meant_for: Which requests.
        answer: Sent in place of the server's, which is never asked.
        pause_s: Before the server is asked.
        reset: The connection is reset: `before` the server is asked, `after` it has done what it was asked for, or in
            the `middle` of its answer.
        times: How often; None: as long as it lasts.
        keeps: The first answer to a listing is given again and again.
    """

    meant_for: object
    answer: tuple[int, bytes] | None = None
    pause_s: float = 0.0
    reset: str | None = None
    times: int | None = None
    keeps: bool = False
    struck: list = field(default_factory=list)
    kept: dict = field(default_factory=dict)


class FaultyProxy:
    """Passes requests on, but for those that the present fault is meant for. Runs until `close`."""

    def __init__(self, options: dict) -> None:
        upstream = urlsplit(options["endpoint_url"])
        self.upstream = (upstream.hostname, upstream.port)
        self.fault: Fault | None = None
        self.put: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.accept()
        self.options = {**options, "endpoint_url": f"http://127.0.0.1:{self._port}"}

    def accept(self) -> None:
        """Listens, on the same port as ever."""
        proxy = self

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

        class Handler(_Handler):
            owner = proxy

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def refuse(self) -> None:
        """No longer listens: connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def strike(self, asked: Asked) -> Fault | None:
        """The fault, where it is meant for the request and has not struck often enough."""
        with self._lock:
            fault = self.fault
            if fault is None or not fault.meant_for(asked):
                return None
            if fault.times is not None and len(fault.struck) >= fault.times:
                return None
            fault.struck.append(asked)
            return fault

    close = refuse


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: FaultyProxy

    def log_message(self, *args):
        pass

    def _handle(self):
        body = self._body()
        parts = urlsplit(self.path)
        asked = Asked(self.command, unquote(parts.path).split("/", 2)[-1], parts.query)
        fault = self.owner.strike(asked)
        if self.owner._server is None:
            return self._reset()
        if fault is not None:
            time.sleep(fault.pause_s)
            if fault.answer is not None:
                return self._reply(fault.answer[0], {"content-type": "application/xml"}, fault.answer[1])
            if fault.reset == "before":
                return self._reset()
            if fault.keeps and self.path in fault.kept:
                return self._reply(*fault.kept[self.path])
        status, headers, content = self._forward(body)
        if self.command == "PUT" and status == 200:
            self.owner.put[asked.key] += 1
        if fault is not None and fault.keeps:
            fault.kept[self.path] = (status, headers, content)
        if fault is not None and fault.reset == "after":
            return self._reset()
        return self._reply(status, headers, content, cut=fault is not None and fault.reset == "middle")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle

    def _body(self):
        if "chunked" in self.headers.get("transfer-encoding", ""):
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _forward(self, body):
        connection = http.client.HTTPConnection(*self.owner.upstream, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            # The host is part of what the client has signed.
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "expect"):
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.putheader("Connection", "close")
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        connection.close()
        return answer.status, headers, content

    def _reply(self, status, headers, content, cut=False):
        length = headers.get("content-length", "0") if self.command == "HEAD" else str(len(content))
        self.send_response(status)
        for name, value in headers.items():
            if name not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.wfile.flush()
            self._reset()

    def _reset(self):
        """Ends the connection so that the client is told of it at once, as by a machine that has gone."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RDWR) if self.owner._server is None else None
        self.close_connection = True
        self.connection.close()


def parts_put(proxy: FaultyProxy, phase: str) -> Counter[int]:
    """How many data files of each part of a phase were stored, those included that nobody needed."""
    pattern = re.compile(rf".*/pool/{phase}-[0-9a-f]+/data/(\d{{8}})-[0-9a-f]+\.parquet")
    found = (pattern.fullmatch(key) for key in proxy.put)
    return Counter(int(match[1]) for match in found if match)
