"""A real web server whose pictures change between runs, and runs of a real recipe over it."""

import asyncio
import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from pictures import saved
from raw_web import RawWeb

from jobs import curate
from schemas.records import RunRecord

REPOSITORY = Path(__file__).parents[2]
ROWS = 36
PART_ROWS = 6

RECIPE = """\
name: changing
source: {kind: url_table, path: LIST}
steps:
  - {kind: text_rules, min_words: 1}
  - {kind: fetch_images, retries: 0, robots: false, host_failures: null, per_host_concurrency: 4, SCOPE}
  - {kind: decode_images, side_px: 64, min_side: 8}
  - {kind: fingerprint}
  - {kind: select, rules: [{name: width, column: width, min: 8}]}
SCORE  - {kind: write_shards, shard_rows: 10}
run: {part_rows: PART}
"""
SCORE = '  - {kind: score_alignment, model: "embedded:clip", batch_size: 4}\n'
SCOPE = "allow_networks: [127.0.0.0/8], allow_public: false, allow_ports: null"


def picture(row, version):
    """A PNG of noise: no two are alike."""
    noise = np.random.default_rng([row, version]).integers(0, 256, (8, 8, 3), np.uint8)
    return saved(noise.repeat(10, axis=0).repeat(10, axis=1), "png")


class ChangingWeb:
    """Row i is `/i.png`. Even rows have an ETag, those divisible by three a Last-Modified, and the others neither.

    Args:
        scored: Whether the recipe scores the pictures with a model.
    """

    def __init__(self, folder, *, scored):
        self.web = RawWeb()
        self.failing = {}
        self.versions = {}
        self.pause_s = 0.0
        self.bodies = []
        for row in range(ROWS):
            self.web.handle(f"/{row}.png", self._handler(row))
        self.list = folder / "list.jsonl"
        lines = [{"url": self.web.url(f"/{row}.png"), "caption": f"picture number {row}"} for row in range(ROWS)]
        self.list.write_text("".join(json.dumps(line) + "\n" for line in lines))
        text = RECIPE.replace("LIST", json.dumps(str(self.list))).replace("PART", str(PART_ROWS))
        self.recipe = folder / "changing.yaml"
        self.recipe.write_text(text.replace("SCOPE", SCOPE).replace("SCORE", SCORE if scored else ""))

    def _handler(self, row):
        async def handler(exchange):
            await asyncio.sleep(self.pause_s)
            if row in self.failing:
                await exchange.respond(self.failing[row])
                return
            version = self.versions.get(row, 0)
            body = picture(row, version)
            validators = {}
            if row % 2 == 0:
                validators["ETag"] = f'"{hashlib.md5(body).hexdigest()}"'
            elif row % 3 == 0:
                validators["Last-Modified"] = f"Wed, 0{version + 1} Jan 2025 00:00:00 GMT"
            asked = exchange.headers.get("if-none-match"), exchange.headers.get("if-modified-since")
            if any(value is not None and value in validators.values() for value in asked):
                await exchange.respond(304, headers=validators)
                return
            self.bodies.append(row)
            await exchange.respond(200, body, {"Content-Type": "image/png", **validators})

        return handler

    def requests(self):
        """(row, whether it was conditional) of every request since `forget`, by row."""
        return sorted(
            (int(path.strip("/").removesuffix(".png")), "if-none-match" in headers or "if-modified-since" in headers)
            for path, headers in self.web.requests
        )

    def rows(self):
        """Rows that were asked for since `forget`, each as often as it was."""
        return [row for row, _ in self.requests()]

    def forget(self):
        """Forgets what was asked for."""
        self.web.requests.clear()
        self.bodies.clear()

    def _arguments(self, out, arguments):
        return [str(self.recipe), "--out", str(out), "--runner", "in-process", "--json", *arguments]

    def run(self, out, *arguments):
        """Runs to the end in this process; the summary that was printed."""
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            assert curate.main(self._arguments(out, arguments)) == 0
        return json.loads(printed.getvalue())

    def kill_when(self, out, condition, *arguments):
        """Starts a run in another process, and ends it by SIGKILL as soon as the condition holds."""
        command = [sys.executable, "-m", "jobs.curate", *self._arguments(out, arguments)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, cwd=REPOSITORY, **quiet) as process:
            try:
                limit = time.monotonic() + 120
                while not condition():
                    assert process.poll() is None, "the run ended before it could be killed"
                    assert time.monotonic() < limit, "the run did not come so far"
                    time.sleep(0.005)
            finally:
                os.kill(process.pid, signal.SIGKILL)

    def close(self):
        """Stops the server."""
        self.web.close()


def record_of(out):
    """The record of the folder's latest run."""
    return RunRecord.model_validate_json((Path(out) / "run.json").read_bytes())


def ledger_of(out):
    """The ledger of the folder's latest run."""
    return pl.read_parquet(f"{out}/{record_of(out).ledger}/*.parquet").sort("row")


def delivered(out):
    """The bytes of the ledger and of the shards, by path."""
    record = record_of(out)
    paths = [path for folder in (record.ledger, record.shards) for path in sorted((Path(out) / folder).iterdir())]
    return {path.relative_to(out): path.read_bytes() for path in paths}
