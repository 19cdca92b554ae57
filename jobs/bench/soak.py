"""Very many requests to a server that does everything wrong: rows in must be outcomes out. `make soak-fetch`."""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa

from jobs.bench.faults import FAULTS, MAX_BODY_BYTES, body_of
from jobs.exit_codes import ExitCode, exit_code_of
from schemas.columns import schema_of
from stages.fetch.images import FetchImages, FetchImagesConfig

_ROOT = Path(__file__).resolve().parents[2]
_HOSTS = 200
_DEAD_HOSTS = 20
_SETTLED_SHARE = 0.2
"""Of the rows, after which memory should have stopped growing."""


@dataclass(slots=True)
class SoakResult:
    """What came of a soak.

    Attributes:
        lost: Rows without an outcome, or with two.
        wrong: Rows with another outcome than their fault must have, or another body, a few of them told.
        settled_rss_mb: Memory of this process when a fifth of the rows were done.
    """

    rows: int
    outcomes: int = 0
    lost: int = 0
    wrong: int = 0
    examples: list[str] = field(default_factory=list)
    bodies: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    attempts: int = 0
    seconds: float = 0.0
    rss_before_mb: float = 0.0
    settled_rss_mb: float = 0.0
    rss_after_mb: float = 0.0
    files_before: int = 0
    files_after: int = 0

    @property
    def flawless(self) -> bool:
        """Whether every row has the one outcome that it must have."""
        return self.lost == self.wrong == 0 and self.outcomes == self.rows


def soak(rows: int, part_rows: int, seed: int = 0, concurrency: int = 128) -> SoakResult:
    """Fetches so many URLs from a server in a process of its own, in parts as a run does."""
    result = SoakResult(rows, files_before=_open_files())
    kinds = _kinds(rows, seed)
    failed: Counter[str] = Counter()
    with _server() as port:
        stage = FetchImages(_config(concurrency))
        stage.setup()
        try:
            result.rss_before_mb = _rss_mb()
            started = time.monotonic()
            for start in range(0, rows, part_rows):
                _fetch_part(stage, kinds[start : start + part_rows], (start, port), result, failed)
                if start <= rows * _SETTLED_SHARE:
                    result.settled_rss_mb = _rss_mb()
            result.seconds = round(time.monotonic() - started, 1)
            result.rss_after_mb = _rss_mb()
        finally:
            stage.close()
    result.files_after = _open_files()
    result.failed = dict(sorted(failed.items()))
    return result


def _config(concurrency: int) -> FetchImagesConfig:
    return FetchImagesConfig(
        concurrency=concurrency,
        allow_networks=("127.0.0.0/8",),
        allow_public=False,
        allow_ports=None,
        robots=False,
        retries=1,
        backoff_s=0.02,
        connect_timeout_s=10.0,
        # Long enough for a busy machine: only a server that is meant to be silent may run into it.
        first_byte_timeout_s=4.0,
        idle_timeout_s=4.0,
        total_timeout_s=8.0,
        part_timeout_s=None,
        max_body_bytes=MAX_BODY_BYTES,
    )


def _kinds(rows: int, seed: int) -> list[str]:
    shares = [fault.share for fault in FAULTS.values()]
    return random.Random(seed).choices(list(FAULTS), shares, k=rows)


def _url(kind: str, number: int, port: int) -> str | None:
    if kind == "dead":
        return f"http://127.1.0.{1 + number % _DEAD_HOSTS}:1/{number}"
    if kind == "inside":
        return f"http://10.0.0.{1 + number % 250}/{number}.jpg"
    if kind == "no_url":
        return None if number % 2 else f"http:///{number}"
    return f"http://127.0.0.{2 + number % _HOSTS}:{port}/{kind}/{number}"


def _fetch_part(
    stage: FetchImages, kinds: Sequence[str], place: tuple[int, int], result: SoakResult, failed: Counter[str]
) -> None:
    start, port = place
    numbers = range(start, start + len(kinds))
    urls = [_url(kind, number, port) for kind, number in zip(kinds, numbers, strict=True)]
    columns = {"row": list(numbers), "key": [str(number) for number in numbers], "url": urls}
    seen: Counter[int] = Counter()
    for chunk in stage.stream(pa.table(columns, schema=schema_of("row", "key", "url"))):
        told = chunk.select(["row", "body", "reason", "fetch_attempts"])
        for row, body, reason, attempts in zip(*(column.to_pylist() for column in told.columns), strict=True):
            seen[row] += 1
            result.attempts += attempts
            result.bodies += body is not None
            failed.update([reason] if reason else [])
            _judge(row, (kinds[row - start], body, reason), result)
    result.outcomes += len(seen)
    result.lost += sum(seen[number] != 1 for number in numbers)


def _judge(row: int, told: tuple[str, bytes | None, str | None], result: SoakResult) -> None:
    kind, body, reason = told
    reasons = FAULTS[kind].reasons
    right = reason in {allowed.value for allowed in reasons} if reasons else body == body_of(row)
    if not right:
        result.wrong += 1
        if len(result.examples) < 20:
            result.examples.append(f"{kind} {row}: {reason or 'another body'}")


@contextmanager
def _server() -> Iterator[int]:
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.bench.faults", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def _open_files() -> int:
    # c-ares closes its own when it is collected.
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def main(argv: Sequence[str] | None = None) -> int:
    """Soaks, and prints the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m jobs.bench.soak", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--part-rows", type=int, default=5_000)
    parser.add_argument("--concurrency", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    return exit_code_of(lambda: _main(args))


def _main(args: argparse.Namespace) -> int:
    result = soak(args.rows, args.part_rows, args.seed, args.concurrency)
    sys.stdout.write(json.dumps({"bench": "soak", **asdict(result), "flawless": result.flawless}) + "\n")
    return ExitCode.DONE if result.flawless else ExitCode.ERROR


if __name__ == "__main__":
    sys.exit(main())
