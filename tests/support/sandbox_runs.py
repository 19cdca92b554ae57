"""A small sandbox web behind a real server, and runs of the demo's recipe over it."""

import contextlib
import io
import json
import signal
from collections import Counter
from pathlib import Path

import polars as pl

import jobs.curate
from schemas.records import RunRecord

REPOSITORY = Path(__file__).parents[2]
PAIRS = 320
PART_ROWS = 32
SEED = 4711


class Sandbox:
    """The web, and what to do with it."""

    def __init__(self, web):
        self.web = web

    def arguments(self, out, overrides=(), ray_address=None):
        """As `jobs.curate` takes them: on a cluster, or without Ray."""
        settings = (f"source.path={json.dumps(str(self.web.pairs_path))}", f"run.part_rows={PART_ROWS}", *overrides)
        recipe = str(REPOSITORY / "jobs" / "recipes" / "sandbox.yaml")
        where = ("--address", ray_address) if ray_address else ("--runner", "in-process")
        chosen = [word for setting in settings for word in ("--set", setting)]
        return [recipe, "--out", str(out), "--json", *where, *chosen]

    def run(self, out, *overrides):
        """Runs to the end, in this process; the summary that was printed."""
        printed, before = io.StringIO(), signal.getsignal(signal.SIGTERM)
        try:
            with contextlib.redirect_stdout(printed):
                assert jobs.curate.main(self.arguments(out, overrides)) == 0
        finally:
            signal.signal(signal.SIGTERM, before)
        return json.loads(printed.getvalue())

    def requests(self):
        """How often each path was asked for, over all runs so far."""
        log = self.web.request_log_path
        return Counter(log.read_text().splitlines()) if log.exists() else Counter()


def record_of(out):
    return RunRecord.model_validate_json((out / "run.json").read_bytes())


def ledger_of(out):
    return pl.read_parquet(f"{out}/{record_of(out).ledger}/*.parquet").sort("row")


def delivered(out):
    """The bytes of the ledger and of the shards, by name."""
    record = record_of(out)
    paths = [path for folder in (record.ledger, record.shards) for path in sorted((out / folder).iterdir())]
    return {path.name: path.read_bytes() for path in paths}


def measured_rows(out, last_run_only=True):
    """Rows that each item of the latest run worked on, from its metrics."""
    files = sorted((out / "metrics").iterdir())
    latest = files[-1].name.split("-")[0]
    rows = Counter()
    for path in files:
        if path.name.startswith(latest) or not last_run_only:
            for line in path.read_text().splitlines():
                event = json.loads(line)
                rows[event["item"]] += event.get("rows_measured", 0)
    return rows
