"""References to bodies: routed by their scheme, each to what reads it, with the same caps for all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from curation.net.failures import FetchFailure
from curation.net.fetched import Fetched, Validators
from curation.net.retries import RetryPolicy
from curation.references.blocking_calls import BlockingCalls
from curation.references.data_url import read_data_url
from curation.references.failures import failure_of_reading
from curation.references.local_file import AllowedFolders, path_of_file_url
from curation.references.object_store import ObjectStore
from curation.references.schemes import WEB, scheme_of
from schemas.outcomes import FailureReason

_LONG_CHARS = 1 << 18
"""Decoding a longer `data:` URL would hold up the event loop for milliseconds."""

_ABOUT_THE_OBJECT = frozenset({FailureReason.BODY_TOO_LARGE, FailureReason.EMPTY_BODY})
"""After any other failure, how much was learnt of the object before is a matter of chance."""


@dataclass(frozen=True)
class ReferenceSettings:
    """What may be read, and what is put up with.

    Attributes:
        schemes: That a URL may have; `http` and `https` are left to the web client.
        folders: Below which files of this machine may lie.
        storage_options: For fsspec, by scheme.
        concurrency: Calls that block, at a time.
        idle_timeout_s: Longest silence of a store.
        total_timeout_s: For one attempt.
        max_body_bytes: Cap of a body.
    """

    schemes: tuple[str, ...]
    folders: tuple[str, ...] = ()
    storage_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    concurrency: int = 64
    idle_timeout_s: float = 15.0
    total_timeout_s: float = 60.0
    max_body_bytes: int = 50_000_000


class Fetcher(Protocol):
    """What makes a body of a URL. One that returns a body leaves a place of the gate taken."""

    async def fetch(self, text: str | None, gate: asyncio.Semaphore, known: Validators | None = None) -> Fetched:
        """Fetches a URL. Never raises for what is wrong with it."""
        ...

    async def close(self) -> None:
        """Ends every connection."""
        ...


class ReferenceReader:
    """Reads `data:` URLs, files, and what fsspec reads. Made and used on one event loop; `close` ends it."""

    def __init__(self, settings: ReferenceSettings, retry: RetryPolicy) -> None:
        self._settings = settings
        self._retry = retry
        self._folders = AllowedFolders(settings.folders)
        self._calls = BlockingCalls(settings.concurrency)
        self._stores = {
            scheme: ObjectStore(scheme, settings.storage_options.get(scheme, {}), self._calls, settings.idle_timeout_s)
            for scheme in settings.schemes
            if scheme not in WEB and scheme not in ("data", "file")
        }

    async def close(self) -> None:
        """Ends every connection."""
        for store in self._stores.values():
            await store.close()

    async def fetch(self, text: str | None, gate: asyncio.Semaphore, known: Validators | None = None) -> Fetched:
        """Reads what a reference names, trying again where that may help.

        Args:
            text: With a scheme that the settings allow; any other fails.
            gate: Bounds the bodies in memory, see `Fetcher`.
            known: What the store said earlier of the object: it is read only if it says something else now.
        """
        fetched = Fetched()
        clock = asyncio.get_running_loop().time
        started = clock()
        while True:
            fetched.attempts += 1
            try:
                fetched.body = await self._attempt(text, gate, fetched, known)
                break
            except FetchFailure as failure:
                wait_s = self._retry.wait_s(failure, fetched.attempts)
                if wait_s is None:
                    fetched.reason, fetched.detail = failure.reason, failure.detail
                    break
                await asyncio.sleep(wait_s)
        if fetched.reason is not None and fetched.reason not in _ABOUT_THE_OBJECT:
            fetched.forget_response()
        fetched.seconds = clock() - started
        return fetched

    async def _attempt(
        self, text: str | None, gate: asyncio.Semaphore, fetched: Fetched, known: Validators | None
    ) -> bytes | None:
        fetched.forget_response()
        await gate.acquire()
        body: bytes | None = None
        try:
            async with asyncio.timeout(self._settings.total_timeout_s):
                body = await self._read_checked((text or "").strip(), fetched, known)
        except TimeoutError as error:
            raise FetchFailure(FailureReason.TOTAL_TIMEOUT, "TimeoutError") from error
        finally:
            if body is None:
                gate.release()
        return body

    async def _read_checked(self, text: str, fetched: Fetched, known: Validators | None) -> bytes | None:
        scheme = scheme_of(text)
        if scheme is None or scheme not in self._settings.schemes:
            raise _not_allowed(scheme)
        try:
            body = await self._read(scheme, text, fetched, known)
        except Exception as error:
            # Every store has a client of its own, and every client errors of its own.
            raise failure_of_reading(error) from error
        if body == b"":
            raise FetchFailure(FailureReason.EMPTY_BODY)
        return body

    async def _read(self, scheme: str, text: str, fetched: Fetched, known: Validators | None) -> bytes | None:
        cap = self._settings.max_body_bytes
        if scheme == "data":
            return await self._read_data(text, fetched)
        fetched.final_url = text
        if scheme == "file":
            path = path_of_file_url(text)
            silence_s = self._settings.idle_timeout_s
            return await self._calls.watch(lambda go_on: self._folders.read(path, cap, go_on), silence_s)
        return await self._stores[scheme].read(text, cap, fetched, known)

    async def _read_data(self, text: str, fetched: Fetched) -> bytes:
        cap = self._settings.max_body_bytes
        if len(text) <= _LONG_CHARS:
            body, kind = read_data_url(text, cap)
        else:
            body, kind = await self._calls.run(lambda: read_data_url(text, cap))
        fetched.content_type = kind[:200]
        return body


class SchemeRouter:
    """The one place where the scheme of a URL decides who fetches it. Closes both when it is closed."""

    def __init__(self, web: Fetcher, references: Fetcher, schemes: tuple[str, ...]) -> None:
        self._web = web
        self._references = references
        self._schemes = frozenset(schemes)

    async def close(self) -> None:
        """Ends every connection."""
        await self._web.close()
        await self._references.close()

    async def fetch(self, text: str | None, gate: asyncio.Semaphore, known: Validators | None = None) -> Fetched:
        """Fetches a URL through the web client or the reader of references; refuses a scheme that is not allowed."""
        scheme = scheme_of(text)
        if scheme is not None and scheme not in self._schemes:
            failure = _not_allowed(scheme)
            return Fetched(reason=failure.reason, detail=failure.detail, attempts=1)
        if scheme is None or scheme in WEB:
            return await self._web.fetch(text, gate, known)
        return await self._references.fetch(text, gate, known)


def _not_allowed(scheme: str | None) -> FetchFailure:
    if scheme is None:
        return FetchFailure(FailureReason.INVALID_URL, "no scheme")
    return FetchFailure(FailureReason.UNSUPPORTED_SCHEME, f"{scheme[:40]}: not in `allow_schemes`")
