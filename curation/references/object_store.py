"""Objects of one kind of store, read through fsspec: never more of one than its cap, and no longer than allowed."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from types import MethodType
from typing import Any

import fsspec

from curation.net.failures import FetchFailure
from curation.net.fetched import Fetched, Validators
from curation.references.blocking_calls import BlockingCalls, Progress
from curation.references.local_file import read_capped
from schemas.outcomes import FailureReason

_WINDOW_BYTES = 2 << 20
"""Asked for at a time: nearly every image comes in one piece, and a slow store is not taken for a silent one."""

_VALIDATORS = ("ETag", "etag", "md5Hash", "content_md5", "checksum", "crc32c", "blob_id")
_TIMES = ("LastModified", "last_modified", "updated")
_TYPES = ("ContentType", "contentType", "content_type")
# What a URL may say of a store beside the path. Everything else, such as a host or a password, the recipe says.
_FREE = frozenset({"version_aware"})


# botocore keeps ten connections, tries five times and takes proxies from the environment; here the worker's concurrency
# and the recipe's retries count, and no proxy is asked that the recipe does not name.
_S3 = {"config_kwargs": {"max_pool_connections": 256, "retries": {"max_attempts": 0}, "proxies": {}}}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {"s3": _S3, "s3a": _S3}


class ObjectStore:
    """One fsspec file system, whose place and credentials come from the recipe and the environment, never from a URL.

    Made and used on one event loop. File systems that can are used on it directly, the others in threads.
    """

    def __init__(self, scheme: str, options: Mapping[str, Any], calls: BlockingCalls, idle_timeout_s: float) -> None:
        self._options = dict(options)
        self._calls = calls
        self._idle_timeout_s = idle_timeout_s
        self._class = _class_of(scheme)
        self._is_async = bool(self._class.async_impl)
        # A cached listing would hide what was written since, and grows with the store.
        self._defaults = {**_DEFAULTS.get(scheme, {}), "use_listings_cache": False, "skip_instance_cache": True}
        self._fs: Any = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Ends its connections."""
        for name in ("_s3", "_session"):
            close = getattr(getattr(self._fs, name, None), "close", None)
            if close is not None and self._is_async:
                closed = close()
                if inspect.isawaitable(closed):
                    await closed

    async def read(self, url: str, max_bytes: int, fetched: Fetched, known: Validators | None = None) -> bytes | None:
        """The content of an object, None if it is the one that is known; notes what the store says of it.

        Raises:
            FetchFailure: It is too long, no object, cut short, or the URL names another store.
            Exception: Whatever the store's client raises.
        """
        path = self._path_of(url)
        await self._open()
        info = await self._info(path)
        if info.get("type") == "directory":
            raise FetchFailure(FailureReason.REFERENCE_DENIED, "a folder")
        _note(fetched, info)
        if known is not None and known.url == url and _is_known(fetched, known):
            fetched.unchanged = True
            return None
        size = info.get("size")
        if size is not None and size > max_bytes:
            raise FetchFailure(FailureReason.BODY_TOO_LARGE, f"{size} above {max_bytes} bytes")
        if size == 0:
            return b""
        if self._is_async:
            body = await self._read_async(path, size, max_bytes)
        else:
            body = await self._read_in_thread(path, max_bytes)
        if size is not None and len(body) != size:
            raise FetchFailure(FailureReason.TRUNCATED_BODY, f"{len(body)} of {size} bytes")
        return body

    async def _open(self) -> None:
        """Opens the file system at first use: some connect at once, and then in a thread."""
        async with self._opening:
            if self._fs is not None:
                return
            if self._is_async:
                fs = self._class(**{**self._defaults, "asynchronous": True, **self._options})
                _leave_tries_to_us(fs)
            else:
                settings = {**self._defaults, **self._options}
                fs = await self._calls.watch(lambda _: self._class(**settings), self._idle_timeout_s)
            self._fs = fs

    def _path_of(self, url: str) -> str:
        named = self._class._get_kwargs_from_urls(url)
        for name, value in named.items():
            if name not in _FREE and self._options.get(name) != value:
                raise FetchFailure(
                    FailureReason.REFERENCE_DENIED, f"the URL names a {name}; `storage_options` alone may do so"
                )
        return str(self._class._strip_protocol(url))

    async def _info(self, path: str) -> dict[str, Any]:
        if self._is_async:
            async with asyncio.timeout(self._idle_timeout_s):
                # gcsfs lists what a path could be the folder of while it looks for the object: a costlier request.
                look = getattr(self._fs, "_get_object", self._fs._info)
                return dict(await look(path))
        return dict(await self._calls.watch(lambda _: self._fs.info(path), self._idle_timeout_s))

    async def _read_async(self, path: str, size: int | None, max_bytes: int) -> bytes:
        # Without a known size there is no end to stop at but the cap.
        end, window = (max_bytes + 1, max_bytes + 1) if size is None else (size, _WINDOW_BYTES)
        blocks: list[bytes] = []
        for start in range(0, end, window):
            stop = min(start + window, end)
            async with asyncio.timeout(self._idle_timeout_s):
                block = await self._fs._cat_file(path, start=start, end=stop)
            blocks.append(block)
            if len(block) != stop - start:
                break
        body = b"".join(blocks)
        if len(body) > max_bytes:
            raise FetchFailure(FailureReason.BODY_TOO_LARGE, f"above {max_bytes} bytes")
        return body

    async def _read_in_thread(self, path: str, max_bytes: int) -> bytes:
        def read(go_on: Progress) -> bytes:
            with self._fs.open(path, "rb") as file:
                return read_capped(file.read, max_bytes, go_on)

        return await self._calls.watch(read, self._idle_timeout_s)


def _class_of(scheme: str) -> Any:
    found = fsspec.get_filesystem_class(scheme)
    if scheme in ("gs", "gcs"):
        from gcsfs.core import GCSFileSystem

        # The class that gcsfs registers finds out first, over gRPC, of what kind a bucket is.
        return GCSFileSystem
    return found


def _leave_tries_to_us(fs: Any) -> None:
    """Takes the tries of a file system's own away, which would come on top of ours."""
    fs.retries = 1
    # gcsfs has them in a decorator.
    once = getattr(getattr(type(fs), "_request", None), "__wrapped__", None)
    if once is not None:
        fs._request = MethodType(once, fs)


def _note(fetched: Fetched, info: Mapping[str, Any]) -> None:
    validator = _first(info, _VALIDATORS)
    fetched.etag = None if validator is None else str(validator)[:1024]
    time = _first(info, _TIMES)
    fetched.last_modified = _http_date(time)
    kind = _first(info, _TYPES)
    fetched.content_type = None if kind is None else str(kind)[:200]


def _is_known(fetched: Fetched, known: Validators) -> bool:
    if known.etag is not None:
        return fetched.etag == known.etag
    return known.last_modified is not None and fetched.last_modified == known.last_modified


def _first(info: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((info[name] for name in names if info.get(name)), None)


def _http_date(time: Any) -> str | None:
    """As a web server would send it, whichever way the store says it."""
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            return None
    if not isinstance(time, datetime):
        return None
    return format_datetime(time.astimezone(UTC), usegmt=True)
