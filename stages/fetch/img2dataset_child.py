"""img2dataset's downloader as a process of its own, which is handed URLs and hands back bodies.

Run by whichever Python has img2dataset; imports nothing of this project, so that it may be one of another environment,
but for the one file that knows what owners of pages say in headers, which is loaded by its path.
In and out go frames: the length of a JSON head (4 bytes, big-endian), the head, and as many bytes as its `bytes` says.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import ipaddress
import json
import os
import socket
import struct
import sys
import tempfile
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import IO, Any

_LENGTH = struct.Struct(">I")
_IPV4_CARRIERS = tuple(map(ipaddress.IPv6Network, ("::ffff:0:0/96", "64:ff9b::/96", "2001::/32", "2002::/16")))
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_JUDGED = frozenset({*range(200, 300), 301, 302, 303, 307, 308})
_SPECIAL = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")))


def read_frame(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """The next frame, None where the stream ends."""
    length = stream.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        return None
    head = json.loads(stream.read(_LENGTH.unpack(length)[0]))
    body = stream.read(head.get("bytes", 0))
    return None if len(body) < head.get("bytes", 0) else (head, body)


def write_frame(stream: IO[bytes], head: dict[str, Any], body: bytes = b"") -> None:
    """Writes a frame and sends it off."""
    data = json.dumps({**head, "bytes": len(body)}).encode()
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.write(body)
    stream.flush()


def may_be_reached(text: str, networks: list[str], *, public: bool) -> bool:
    """Whether a connection to an address may be made: never to more than `curation.net.addresses` would allow."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if any(address in ipaddress.ip_network(network) for network in networks):
        return True
    if not public or address.is_multicast or not address.is_global:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        return address in _GLOBAL_UNICAST and not any(address in network for network in _IPV4_CARRIERS)
    return not address.is_reserved and not any(address in network for network in _SPECIAL)


def guard_connections(settings: dict[str, Any]) -> None:
    """Lets every connection of this process, redirects included, go to allowed addresses and ports alone."""
    look_up = socket.getaddrinfo

    def guarded(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if settings["ports"] is not None and port not in settings["ports"]:
            raise PermissionError(f"blocked port {port}")
        found = look_up(host, port, *args, **more)
        for *_, place in found:
            if not may_be_reached(str(place[0]), settings["networks"], public=settings["public"]):
                raise PermissionError(f"blocked address: {host} is {place[0]}")
        return found

    # The addresses that were checked are those that are connected to: nobody looks them up again.
    socket.getaddrinfo = guarded


def load_alone(path: str) -> ModuleType:
    """A file of this project that imports nothing of it, as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def polite_opener(settings: dict[str, Any]) -> urllib.request.OpenerDirector:
    """What urllib opens URLs with: under our own name, over HTTP alone, judging every hop by its owner's headers."""
    opt_out = load_alone(settings["opt_out"])

    class Manners(urllib.request.BaseHandler):
        # Before redirects are followed and errors raised.
        handler_order = 100

        def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
            # In place of the browser's name that img2dataset gives; every hop comes through here.
            request.add_header("User-agent", settings["user_agent"])
            return request

        def http_response(self, request: urllib.request.Request, response: Any) -> Any:
            objection = self.objection(response.headers) if response.status in _JUDGED else None
            if objection is not None:
                response.close()
                raise PermissionError(f"opted out: {objection}")
            return response

        def objection(self, headers: Any) -> str | None:
            tags = headers.get_all("X-Robots-Tag", [])
            directive = opt_out.robots_tag_objection(tags, settings["agent"], settings["robots_tags"])
            if directive is not None:
                return f"X-Robots-Tag: {directive}"
            reserved = opt_out.reserves_mining(headers.get_all("tdm-reservation", []))
            return "tdm-reservation: 1" if settings["tdm_reservation"] and reserved else None

        https_request, https_response = http_request, http_response

    opener = urllib.request.OpenerDirector()
    for handler in (
        Manners(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def downloader(settings: dict[str, Any], folder: str, answers: IO[bytes], count: int) -> Any:
    """img2dataset's downloader, its resizing off, writing to a pipe in place of a tar."""
    from img2dataset.downloader import Downloader
    from img2dataset.resizer import Resizer

    class PipeWriter:
        """What img2dataset calls a sample writer."""

        def __init__(self, *_: Any) -> None:
            pass

        def write(self, img_str: bytes | None, key: str, caption: str | None, meta: dict[str, Any]) -> None:
            head = {"index": int(key), "status": meta["status"], "error": meta["error_message"]}
            if img_str is not None and len(img_str) > settings["max_bytes"]:
                head, img_str = {**head, "status": "too_large", "error": str(len(img_str))}, None
            try:
                write_frame(answers, head, img_str or b"")
            except OSError:
                # img2dataset would go on without anybody to hear of it.
                os._exit(1)

        def close(self) -> None:
            pass

    return Downloader(
        sample_writer_class=PipeWriter,
        resizer=Resizer(256, "no", False, disable_all_reencoding=True),
        thread_count=settings["threads"],
        save_caption=False,
        extract_exif=False,
        output_folder=folder,
        column_list=["url"],
        timeout=settings["timeout_s"],
        number_sample_per_shard=max(count, 2),
        oom_shard_count=5,
        compute_hash=None,
        verify_hash_type=None,
        encode_format="jpg",
        retries=settings["retries"],
        # Both are the opener's business.
        user_agent_token=None,
        disallowed_header_directives=None,
    )


def main() -> None:
    """Downloads one list of URLs after the other until there is no further one."""
    settings = json.loads(sys.argv[1])
    questions = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    # img2dataset prints, and the pipe is for frames.
    os.dup2(2, 1)
    import pyarrow as pa

    with tempfile.TemporaryDirectory(prefix="img2dataset-") as folder:
        downloader(settings, folder, answers, 1)
        guard_connections(settings)
        urllib.request.install_opener(polite_opener(settings))
        write_frame(answers, {"ready": importlib.metadata.version("img2dataset")})
        while (frame := read_frame(questions)) is not None:
            urls = json.loads(frame[1])
            listed = Path(folder, "urls.feather")
            table = pa.table({"url": pa.array(urls, pa.string())})
            with pa.ipc.new_file(str(listed), table.schema) as writer:
                writer.write_table(table)
            downloader(settings, folder, answers, len(urls)).download_shard((0, str(listed)))
            write_frame(answers, {"done": len(urls)})


if __name__ == "__main__":
    main()
