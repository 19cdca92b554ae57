"""Fetching by img2dataset: a child process does the work, and no row is lost between the two."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from curation.net import opt_out
from curation.net.addresses import AddressPolicy
from curation.net.failures import FetchFailure
from curation.net.fetched import Fetched
from curation.net.urls import web_url
from schemas.outcomes import FailureReason
from stages.fetch import img2dataset_child
from stages.fetch.img2dataset_errors import reason_of_download
from stages.fetch.part_fetch import Arrival
from stages.fetch.record import Wanted

_START_S = 300.0
_LINGER_S = 0.02
_DETAIL_CHARS = 200
_STDERR_CHARS = 2000


@dataclass(frozen=True)
class ChildSettings:
    """What img2dataset is told.

    Attributes:
        threads: Of its thread pool.
        timeout_s: The only one it knows: for connecting, and for any silence.
        retries: Further requests after any failure.
        user_agent: Sent in place of the browser's name that img2dataset would give.
        agent: Product token by which X-Robots-Tag knows the crawler.
        robots_tags: Directives of X-Robots-Tag that are obeyed.
        tdm_reservation: Whether a response's `tdm-reservation: 1` is obeyed.
        max_bytes: Longer bodies fail, once they have been downloaded.
        networks: That may be reached though they are not public.
        ports: That may be reached, None for all.
        public: Whether the public internet may be reached.
    """

    threads: int
    timeout_s: float
    retries: int
    user_agent: str
    agent: str
    robots_tags: tuple[str, ...]
    tdm_reservation: bool
    max_bytes: int
    networks: tuple[str, ...]
    ports: tuple[int, ...] | None
    public: bool


class Img2datasetEngine:
    """Stands in for `PartFetch`. The child is started by the first part and lives until `close`."""

    def __init__(self, settings: ChildSettings, schemes: Sequence[str], python: str | None) -> None:
        """Takes what the child is told, the schemes that URLs may have, and a Python that has img2dataset."""
        self._settings = settings
        self._schemes = frozenset(schemes) & {"http", "https"}
        self._policy = AddressPolicy(settings.networks, settings.ports, allow_public=settings.public)
        self._python = python or sys.executable
        self._child: _Child | None = None

    def chunks(self, wanted: Sequence[Wanted], max_chunk: int, timeout_s: float | None) -> Iterator[list[Arrival]]:
        """Yields (index of what was wanted, what became of it) in the order of arrival, in chunks.

        Stops early when `timeout_s` have been spent waiting for img2dataset, which is then killed.
        """
        refused = {index: refusal for index, (url, _) in enumerate(wanted) if (refusal := self._refusal(url))}
        refusals = iter(refused.items())
        while chunk := list(islice(refusals, max_chunk)):
            yield chunk
        asked = [index for index in range(len(wanted)) if index not in refused]
        if not asked:
            return
        child = self._running_child()
        done = False
        try:
            child.ask([str(wanted[index][0]).strip() for index in asked])
            missing = set(asked)
            for frames in child.answers(max_chunk, timeout_s):
                chunk = [(asked[head["index"]], self._fetched(head, body)) for head, body in frames]
                missing.difference_update(index for index, _ in chunk)
                yield chunk
            done = child.is_idle
            if done and missing:
                lost = Fetched(reason=FailureReason.CONNECTION_FAILED, detail="img2dataset lost the row", attempts=1)
                yield [(index, lost) for index in sorted(missing)]
        finally:
            if not done:
                self.close()

    def close(self) -> None:
        """Ends the child."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _running_child(self) -> _Child:
        if self._child is None:
            self._child = _Child(self._python, self._settings)
        return self._child

    def _refusal(self, text: str | None) -> Fetched | None:
        """What img2dataset would not refuse, and what is not its business."""
        try:
            url = web_url(text)
            if url.scheme not in self._schemes:
                raise FetchFailure(FailureReason.UNSUPPORTED_SCHEME, f"{url.scheme}: not in `allow_schemes`")
            self._policy.require_literal(url.raw_host or "")
            self._policy.require_port(url.port or 0)
        except FetchFailure as failure:
            return Fetched(reason=failure.reason, detail=failure.detail, attempts=1)
        return None

    def _fetched(self, head: dict[str, Any], body: bytes) -> Fetched:
        # Of the response it tells nothing: neither status nor headers nor where redirects led to.
        if head["status"] == "success":
            if body:
                return Fetched(body=body, attempts=1)
            return Fetched(reason=FailureReason.EMPTY_BODY, attempts=1)
        if head["status"] == "too_large":
            detail = f"{head['error']} above {self._settings.max_bytes} bytes"
            return Fetched(reason=FailureReason.BODY_TOO_LARGE, detail=detail, attempts=1)
        detail = None if head["error"] is None else f"img2dataset: {head['error']}"[:_DETAIL_CHARS]
        return Fetched(reason=reason_of_download(head["error"]), detail=detail, attempts=1)


Frame = tuple[dict[str, Any], bytes]


class _Child:
    """The process, and the thread that reads what it says: no more than a few bodies ahead."""

    def __init__(self, python: str, settings: ChildSettings) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(  # noqa: S603 - the recipe names the Python
            [python, img2dataset_child.__file__, json.dumps({**asdict(settings), "opt_out": opt_out.__file__})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=_environment(),
        )
        self._frames: queue.Queue[Frame | None] = queue.Queue(maxsize=settings.threads)
        self._gone = threading.Event()
        threading.Thread(target=self._listen, name="img2dataset", daemon=True).start()
        self.is_idle = True
        try:
            self._next(_START_S)
        except (queue.Empty, RuntimeError) as error:
            self.kill()
            raise RuntimeError(f"{python}: cannot run img2dataset: {error or 'it does not start'}") from error

    def ask(self, urls: Sequence[str]) -> None:
        """Hands over URLs; the answers tell them by their index."""
        assert self._process.stdin is not None
        self.is_idle = False
        with contextlib.suppress(BrokenPipeError):
            img2dataset_child.write_frame(self._process.stdin, {}, json.dumps(urls).encode())

    def answers(self, max_chunk: int, timeout_s: float | None) -> Iterator[list[Frame]]:
        """Yields answers as they come, several at a time; stops at the last, or when the time spent waiting is over."""
        waited_s = 0.0
        while not self.is_idle:
            started = time.monotonic()
            frames = self._some(max_chunk, None if timeout_s is None else max(0.0, timeout_s - waited_s))
            waited_s += time.monotonic() - started
            if frames:
                yield frames
            elif not self.is_idle:
                return

    def kill(self) -> None:
        """Ends the process."""
        self._gone.set()
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._stderr):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()

    def _some(self, max_chunk: int, timeout_s: float | None) -> list[Frame]:
        frames: list[Frame] = []
        wait_s = timeout_s
        with contextlib.suppress(queue.Empty):
            while len(frames) < max_chunk:
                head, body = self._next(wait_s)
                if "done" in head:
                    self.is_idle = True
                    break
                frames.append((head, body))
                wait_s = _LINGER_S
        return frames

    def _next(self, timeout_s: float | None) -> Frame:
        frame = self._frames.get(timeout=timeout_s)
        if frame is None:
            code = self._process.wait()
            self._stderr.seek(0)
            said = self._stderr.read().decode("utf-8", "replace").strip()[-_STDERR_CHARS:]
            raise RuntimeError(f"img2dataset ended with code {code}: {said}")
        return frame

    def _listen(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        with stream, contextlib.suppress(OSError, ValueError):
            while (frame := img2dataset_child.read_frame(stream)) is not None:
                self._put(frame)
        self._put(None)

    def _put(self, frame: Frame | None) -> None:
        while not self._gone.is_set():
            with contextlib.suppress(queue.Full):
                self._frames.put(frame, timeout=0.5)
                return


def _environment() -> dict[str, str]:
    """The environment without proxies, which nobody asked for, and without what its imports would ask of the web."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, "PYTHONSAFEPATH": "1", "NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}
