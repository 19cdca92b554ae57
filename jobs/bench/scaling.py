"""What a billion pairs come to: sizes and requests counted on small runs, and multiplied.

`make bench-scaling`. Requests are counted at an S3 server on this machine, which gets them over a socket.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.engine.events import ItemStart
from curation.engine.run import Run
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from curation.runtime.in_process import InProcessRunner
from curation.storage.store import Store
from jobs.bench.no_op_steps import CATALOGUE
from jobs.bench.whatif import generate_run
from jobs.exit_codes import ExitCode, exit_code_of
from schemas.records import UnitReport

_FEW, _MANY = 4, 12
_BUCKET = "bench"
_TWO_PHASES = "[{kind: no_op, name: first, decides: true}, {kind: no_op, name: second}]"
_USD_PER_1000 = {"PUT": 0.005, "GET": 0.0004}
"""S3 Standard in us-east-1: PUT, COPY, POST and LIST; GET and all others."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A run to be.

    Attributes:
        rows_per_s: Rows of a whole cluster in a second, of the slowest phase.
        driver_ms: Of the driver, for each part and phase.
        phases: How many there are.
    """

    pairs: int
    part_rows: int
    rows_per_s: float
    driver_ms: float
    phases: int

    @property
    def parts(self) -> int:
        """Of one phase."""
        return -(-self.pairs // self.part_rows)


def worked_out(scale: Scale, sizes: dict[str, float], requests: dict[str, dict[str, float]]) -> dict[str, Any]:
    """What the run comes to.

    Args:
        sizes: Bytes of a commit, and of a row in the ledger.
        requests: For each item, requests a part by method.
    """
    items = [requests["first"], *[requests["second"]] * (scale.phases - 1), requests["ledger"]]
    puts = scale.parts * sum(item.get("PUT", 0) + item.get("POST", 0) for item in items)
    others = scale.parts * sum(sum(item.values()) - item.get("PUT", 0) - item.get("POST", 0) for item in items)
    hours = scale.pairs / scale.rows_per_s / 3600
    return {
        "parts": scale.parts,
        "hours_of_the_slowest_phase": round(hours, 1),
        "parts_per_s": round(scale.rows_per_s / scale.part_rows, 3),
        "driver_busy": round(scale.rows_per_s / scale.part_rows * scale.driver_ms / 1e3, 4),
        "commits": scale.parts * (scale.phases + 1),
        "commits_mb": round(scale.parts * (scale.phases * sizes["commit"] + sizes["ledger_commit"]) / 1e6),
        "ledger_gb": round(scale.pairs * sizes["ledger_row"] / 1e9, 1),
        "listings_per_phase": -(-scale.parts // 1000),
        "requests_m": round((puts + others) / 1e6, 2),
        "requests_usd": round((puts * _USD_PER_1000["PUT"] + others * _USD_PER_1000["GET"]) / 1e3, 2),
    }


def counted_requests() -> dict[str, dict[str, float]]:
    """Requests for each part more, by item and method: of a first phase, of one behind it, and of the ledger."""
    with _counting_server() as counts:
        few, many = (_requests_by_item(parts, counts) for parts in (_FEW, _MANY))
    return {
        item: {method: round((many[item][method] - few[item][method]) / (_MANY - _FEW), 2) for method in many[item]}
        for item in many
    }


def _requests_by_item(parts: int, counts: Counter[str]) -> dict[str, Counter[str]]:
    text = f"source: {{kind: made_up_rows, rows: {parts}}}\nsteps: {_TWO_PHASES}\nrun: {{part_rows: 1}}\n"
    recipe = parse_recipe(text, "no-op.yaml", CATALOGUE)
    by_item = _ByItem(counts)
    Run(recipe, make_plan(recipe), Store(f"s3://{_BUCKET}/run-{parts}"), InProcessRunner(), by_item).execute()
    return by_item.requests


class _ByItem:
    """Takes the difference of the counts over each item."""

    def __init__(self, counts: Counter[str]) -> None:
        self.requests: dict[str, Counter[str]] = {}
        self._counts = counts
        self._before: Counter[str] = Counter()
        self._name = ""

    def item_started(self, start: ItemStart) -> None:
        self._name = start.name
        self._before = self._counts.copy()

    def unit_done(self, report: UnitReport) -> None:
        if report.error:
            raise RuntimeError(report.error)

    def item_ended(self, seconds: float) -> None:
        self.requests[self._name] = Counter(self._counts)
        self.requests[self._name].subtract(self._before)


@contextmanager
def _counting_server() -> Iterator[Counter[str]]:
    """An S3 server on a socket, and how often each method was asked for since its start."""
    import boto3
    from moto.server import ThreadedMotoServer

    counts: Counter[str] = Counter()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    credentials = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ.update(credentials, AWS_ENDPOINT_URL=f"http://{host}:{port}")
    try:
        boto3.client("s3").create_bucket(Bucket=_BUCKET)
        answer = server._server.app  # type: ignore[union-attr]

        def counting(environ: dict[str, Any], start_response: Any) -> Any:
            counts[environ["REQUEST_METHOD"]] += 1
            return answer(environ, start_response)

        server._server.app = counting  # type: ignore[union-attr]
        yield counts
    finally:
        server.stop()


def measured_sizes(rows: int, out: Path) -> dict[str, float]:
    """Mean bytes of commits and of rows, in a generated run."""
    store = generate_run(out, rows).store
    root = Path(store.url)
    commits = [path.stat().st_size for path in root.glob("pool/*/commits-*/*.json")]
    ledger = [path.stat().st_size for path in root.glob("ledger/*/part-*.parquet")]
    ledger_commits = [path.stat().st_size for path in root.glob("ledger/commits-*/*.json")]
    return {
        "commit": round(sum(commits) / len(commits)),
        "ledger_commit": round(sum(ledger_commits) / len(ledger_commits)),
        "ledger_row": round(sum(ledger) / rows, 1),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Counts, multiplies and prints JSON."""
    parser = argparse.ArgumentParser(prog="python -m jobs.bench.scaling", description=__doc__)
    parser.add_argument("--pairs", type=int, default=1_000_000_000)
    parser.add_argument("--part-rows", type=int, nargs="*", default=[2000, 20_000])
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--node-rows-per-s", type=float, default=1600.0, help="of the slowest phase")
    parser.add_argument(
        "--driver-ms", type=float, default=15.0, help="for a part and phase, as `bench-engine` measures"
    )
    parser.add_argument("--phases", type=int, default=4)
    parser.add_argument("--rows", type=int, default=20_000, help="of the generated run that sizes are taken from")
    return exit_code_of(lambda: _bench(parser.parse_args(argv)))


def _bench(args: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as folder:
        sizes = measured_sizes(args.rows, Path(folder) / "generated")
    requests = counted_requests()
    scales = [
        Scale(args.pairs, part_rows, args.nodes * args.node_rows_per_s, args.driver_ms, args.phases)
        for part_rows in args.part_rows
    ]
    found = {str(scale.part_rows): worked_out(scale, sizes, requests) for scale in scales}
    summary = {"bench": "scaling", "measured_bytes": sizes, "requests_per_part": requests, "by_part_rows": found}
    sys.stdout.write(json.dumps(summary) + "\n")
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
