"""A small sandbox web behind a real server, and runs of the demo's recipe over it as separate processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import polars as pl

from schemas.records import RunRecord

REPOSITORY = Path(__file__).parents[2]
PAIRS = 320
PART_ROWS = 32
SEED = 4711


class Sandbox:
    """The web, and what to do with it."""

    def __init__(self, web):
        self.web = web

    def command(self, out, overrides=(), ray_address=None):
        """The command of a run: on a cluster, or without Ray."""
        settings = (f"source.path={json.dumps(str(self.web.pairs_path))}", f"run.part_rows={PART_ROWS}", *overrides)
        recipe = str(REPOSITORY / "jobs" / "recipes" / "sandbox.yaml")
        where = ("--address", ray_address) if ray_address else ("--runner", "in-process")
        chosen = [word for setting in settings for word in ("--set", setting)]
        return [sys.executable, "-m", "jobs.curate", recipe, "--out", str(out), "--json", *where, *chosen]

    def run(self, out, *overrides, ray_address=None):
        """Runs to the end; the summary that was printed."""
        done = subprocess.run(
            self.command(out, overrides, ray_address), cwd=REPOSITORY, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout)

    def kill_when(self, out, condition, ray_address):
        """Starts a run and kills its driver, and it alone, as soon as the condition holds."""
        driver = subprocess.Popen(
            self.command(out, ray_address=ray_address),
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            limit = time.monotonic() + 240
            while not condition():
                assert driver.poll() is None, "the run ended before it could be killed"
                assert time.monotonic() < limit, "the run did not come so far"
                time.sleep(0.02)
        finally:
            os.kill(driver.pid, signal.SIGKILL)
            driver.wait()

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
