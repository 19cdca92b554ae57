"""Bodies that a source has already, read in the order in which they lie: few requests, many images each."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

import fsspec
import pyarrow.parquet as pq

from curation.net.failures import HEALABLE
from curation.net.fetched import Fetched
from curation.references.failures import failure_of_reading
from curation.references.stored import StoredBytes
from schemas.outcomes import FailureReason

_BLOCK_BYTES = 4 << 20
_BLOCK_IMAGES = 64
_GAP_BYTES = 256 << 10
"""Captions and metadata between two images are read along: a request costs more than they do."""
_HEADER_BYTES = 512
_MAGIC = slice(257, 262)
_SIZE = slice(124, 135)
_BATCH_ROWS = 64

Wanted = tuple[int, StoredBytes]
"""A place in the caller's list, and where its bytes are."""
Arrival = tuple[int, Fetched]


@dataclass(frozen=True, slots=True)
class StoredReading:
    """How stored bodies are read.

    Attributes:
        max_body_bytes: Cap of a body.
        tries: Of each request.
        backoff_s: Before the second try; it doubles with each further one.
        timeout_s: Longest wait for one request.
        storage_options: For fsspec.
    """

    max_body_bytes: int
    tries: int
    backoff_s: float
    timeout_s: float
    storage_options: Mapping[str, Any]


class StoredBodies:
    """Reads bodies with a few requests ahead of the one who takes them."""

    def __init__(self, reading: StoredReading, threads: int) -> None:
        self._reading = reading
        self._ahead = 2 * threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="stored")

    def close(self) -> None:
        """Waits for no request that is under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def read(self, wanted: Sequence[Wanted]) -> Iterator[list[Arrival]]:
        """Yields each body, or why there is none, once; those of one request together."""
        cap = self._reading.max_body_bytes
        for place, stored in wanted:
            if stored.size is not None and stored.size > cap:
                yield [(place, _failed(FailureReason.BODY_TOO_LARGE, f"{stored.size} above {cap} bytes"))]
        tasks = deque(_tasks([item for item in wanted if (item[1].size or 0) <= cap]))
        running: deque[tuple[list[Wanted], Future[list[Fetched]]]] = deque()
        while tasks or running:
            while tasks and len(running) < self._ahead:
                task = tasks.popleft()
                running.append((task.wanted, self._threads.submit(self._results, task)))
            places, future = running.popleft()
            try:
                results = future.result(self._reading.timeout_s)
            except LateError:
                future.cancel()
                results = [_failed(FailureReason.READ_TIMEOUT, "the store was silent")] * len(places)
            yield [(place, fetched) for (place, _), fetched in zip(places, results, strict=True)]

    def _results(self, task: _Task) -> list[Fetched]:
        reading = self._reading
        for attempt in range(1, reading.tries + 1):
            try:
                return [self._judged(body) for body in task.read(reading)]
            except Exception as error:  # noqa: BLE001 - every store has errors of its own, and its rows are to be told
                failure = failure_of_reading(error)
                if failure.reason not in HEALABLE or attempt == reading.tries:
                    return [_failed(failure.reason, failure.detail)] * len(task.wanted)
                time.sleep(reading.backoff_s * 2.0 ** (attempt - 1))
        raise AssertionError("no try was made")

    def _judged(self, body: bytes | Fetched) -> Fetched:
        if isinstance(body, Fetched):
            return body
        if not body:
            return _failed(FailureReason.EMPTY_BODY, None)
        if len(body) > self._reading.max_body_bytes:
            detail = f"{len(body)} above {self._reading.max_body_bytes} bytes"
            return _failed(FailureReason.BODY_TOO_LARGE, detail)
        return Fetched(body=body, attempts=1)


@dataclass(frozen=True, slots=True)
class _Task:
    """Bodies that one request gets."""

    wanted: list[Wanted]
    how: Callable[[list[StoredBytes], StoredReading], list[bytes | Fetched]]

    def read(self, reading: StoredReading) -> list[bytes | Fetched]:
        return self.how([place for _, place in self.wanted], reading)


def _tasks(wanted: Sequence[Wanted]) -> Iterator[_Task]:
    by_file: dict[tuple[str, bool], list[Wanted]] = defaultdict(list)
    for item in wanted:
        by_file[item[1].url, item[1].row is not None].append(item)
    for (_, is_table), items in by_file.items():
        if is_table:
            items.sort(key=lambda item: item[1].row or 0)
            for start in range(0, len(items), _BATCH_ROWS):
                yield _Task(items[start : start + _BATCH_ROWS], _read_values)
        elif items[0][1].offset is None:
            for item in items:
                yield _Task([item], _read_file)
        else:
            items.sort(key=lambda item: item[1].offset or 0)
            yield from (_Task(block, _read_ranges) for block in _blocks(items))


def _blocks(items: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    """Neighbours that are read in one go."""
    block: list[Wanted] = []
    for item in items:
        if block:
            first, last = block[0][1], block[-1][1]
            gap = _start(item[1]) - _end(last)
            if gap > _GAP_BYTES or _end(item[1]) - _start(first) > _BLOCK_BYTES or len(block) == _BLOCK_IMAGES:
                yield block
                block = []
        block.append(item)
    if block:
        yield block


def _start(place: StoredBytes) -> int:
    """Where the header before a member begins."""
    return max((place.offset or 0) - _HEADER_BYTES, 0)


def _end(place: StoredBytes) -> int:
    return (place.offset or 0) + (place.size or 0)


def _read_ranges(places: list[StoredBytes], reading: StoredReading) -> list[bytes | Fetched]:
    fs, path = fsspec.core.url_to_fs(places[0].url, **reading.storage_options)
    first = _start(places[0])
    data = memoryview(fs.cat_file(path, start=first, end=_end(places[-1])))
    return [_member(data, place, first) for place in places]


def _member(data: memoryview, place: StoredBytes, first: int) -> bytes | Fetched:
    start, size = (place.offset or 0) - first, place.size or 0
    header = bytes(data[start - _HEADER_BYTES : start])
    if not _announces(header, size):
        return _failed(FailureReason.REFERENCE_FAILED, "the tar was changed after it was indexed")
    body = bytes(data[start : start + size])
    if len(body) < size:
        return _failed(FailureReason.TRUNCATED_BODY, f"{len(body)} of {size} bytes")
    return body


def _announces(header: bytes, size: int) -> bool:
    """Whether a header of a tar says that a member of this size follows."""
    if header[_MAGIC] != b"ustar":
        return False
    digits = header[_SIZE].strip(b" \0")
    # From 8 GiB on the size is binary; no image is so long.
    return bool(digits) and all(digit in b"01234567" for digit in digits) and int(digits, 8) == size


def _read_file(places: list[StoredBytes], reading: StoredReading) -> list[bytes | Fetched]:
    fs, path = fsspec.core.url_to_fs(places[0].url, **reading.storage_options)
    with fs.open(path, "rb") as file:
        return [file.read(reading.max_body_bytes + 1)]


def _read_values(places: list[StoredBytes], reading: StoredReading) -> list[bytes | Fetched]:
    fs, path = fsspec.core.url_to_fs(places[0].url, **reading.storage_options)
    column = places[0].column or ""
    with fs.open(path, "rb") as stream:
        parquet = pq.ParquetFile(stream, pre_buffer=False)
        counts = [parquet.metadata.row_group(number).num_rows for number in range(parquet.num_row_groups)]
        starts = [0, *accumulate(counts)]
        values: list[bytes | Fetched] = []
        for number, count in enumerate(counts):
            rows = [place.row - starts[number] for place in places if _lies_in(place.row, starts[number], count)]
            if rows:
                chosen = parquet.read_row_group(number, [column])[column].take(rows)
                values += map(partial(_value, column), chosen.to_pylist())
    return values


def _lies_in(row: int | None, start: int, count: int) -> bool:
    return row is not None and start <= row < start + count


def _value(column: str, value: bytes | None) -> bytes | Fetched:
    return _failed(FailureReason.REFERENCE_NOT_FOUND, f"no {column} in that row") if value is None else value


def _failed(reason: FailureReason, detail: str | None) -> Fetched:
    return Fetched(reason=reason, detail=detail, attempts=1)
