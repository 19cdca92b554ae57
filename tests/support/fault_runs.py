"""Recipes that are run to an end, or to a bad end, and what must be the same afterwards."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml
from deadly_steps import plotted, travel_whole

import jobs.curate
from schemas.records import RunRecord

REPOSITORY = Path(__file__).parents[2]
SEED = 4711
NODE = {"dashboard_agent_listen_port": 0, "object_store_memory": 150_000_000}

WITH_MODELS = ("score_alignment", "select", "recaption")
"""Steps of the demo's recipe that load models, and the decision by what they measure."""

TOYS = """
source: {kind: counting, rows: 100}
steps:
  - {kind: measure_text, min_words: 1, decides: true}
  - {kind: draw}
  - {kind: develop_on_gpu}
  - {kind: threshold, min: 3}
  - {kind: write_lines, unit_rows: 10}
run: {part_rows: 16}
"""
"""Seven parts; of the rows, those that 7 divides have no word, and those that 5 divides cannot be drawn."""


@contextlib.contextmanager
def cluster_of(head, *nodes):
    """A cluster of its own with a head and further nodes, each as Ray's arguments; no driver has joined it."""
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="r-", dir="/tmp")
    # Where Ray notes the latest cluster, whatever the folder of this one: it makes none for it.
    Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray").mkdir(exist_ok=True)
    # Workers would be nicer than what else runs on the machine, and never be done.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - as Ray spells it
    made = Cluster(
        initialize_head=True,
        head_node_args={**NODE, "include_dashboard": False, "gcs_server_port": 0, "temp_dir": folder, **head},
    )
    try:
        for node in nodes:
            made.add_node(**{**NODE, **node})
        travel_whole()
        yield made
    finally:
        made.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Work:
    """A recipe, and how it is set for a test."""

    recipe: Path
    settings: tuple[str, ...] = ()

    def arguments(self, out, *overrides, address=None):
        """As `jobs.curate` takes them."""
        where = ("--address", address) if address else ("--runner", "in-process")
        chosen = [word for setting in (*self.settings, *overrides) for word in ("--set", setting)]
        return [str(self.recipe), "--out", str(out), "--json", *where, *chosen]

    def run(self, out, *overrides, plot, light=True, address=None):
        """Runs with a driver in this process; the exit code."""
        before = signal.getsignal(signal.SIGTERM)
        try:
            with plotted(plot, light=light):
                return jobs.curate.main(self.arguments(out, *overrides, address=address))
        finally:
            signal.signal(signal.SIGTERM, before)

    def start(self, out, *overrides, plot, light=True, address=None, environment=None):
        """Starts a driver in a process of its own."""
        driver = str(Path(__file__).with_name("deadly_driver.py"))
        what = [json.dumps(vars(plot)), "light" if light else "heavy"]
        paths = [str(REPOSITORY), str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.Popen(
            [sys.executable, driver, *what, *self.arguments(out, *overrides, address=address)],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **(environment or {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )


def ended(driver, timeout=500):
    """The exit code and the messages of a driver that comes to its end."""
    try:
        _, messages = driver.communicate(timeout=timeout)
    finally:
        driver.kill()
    return driver.returncode, messages


def wait_until(condition, driver=None, limit_s=500):
    """Waits; fails when a driver ends before."""
    limit = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < limit, "it did not come so far"
        if driver is not None and driver.poll() is not None:
            raise AssertionError(f"the driver ended with {driver.returncode}: {driver.communicate()[1][-3000:]}")
        time.sleep(0.01)


class Web:
    """A sandbox web that is served, and the demo's recipe over it.

    Attributes:
        work: The whole recipe.
        light_work: Without the steps that load models of images.
    """

    def __init__(self, web, folder):
        self._log = web.request_log_path
        pairs = pl.read_parquet(web.pairs_path)
        self.rows = {}
        for row, url in enumerate(pairs["url"].to_list()):
            self.rows.setdefault("/" + url.split("/", 3)[3], set()).add(row)
        source = f"source.path={json.dumps(str(web.pairs_path))}"
        recipe = REPOSITORY / "jobs" / "recipes" / "sandbox.yaml"
        light = yaml.safe_load(recipe.read_text())
        light["steps"] = [step for step in light["steps"] if step["kind"] not in WITH_MODELS]
        (folder / "light.yaml").write_text(yaml.safe_dump(light))
        # Twelve rows to a part, and as many to a shard. No part may fail only because the machine is busy.
        patience = [f"fetch_images.{name}_timeout_s=60" for name in ("connect", "first_byte", "idle", "total")]
        settings = (source, "run.part_rows=12", "write_shards.shard_rows=12", *patience)
        self.work, self.light_work = Work(recipe, settings), Work(folder / "light.yaml", settings)

    def requests(self):
        """How often each path was asked for so far, but for robots.txt, which each worker reads.

        What a path was moved to counts for it as well.
        """
        paths = self._log.read_text().splitlines() if self._log.exists() else []
        return Counter(path.removeprefix("/moved") for path in paths if not path.endswith("robots.txt"))


def record_of(out):
    """What `run.json` says."""
    return RunRecord.model_validate_json((Path(out) / "run.json").read_bytes())


def ledger_of(out):
    """The ledger of the latest run, by row."""
    return pl.read_parquet(f"{out}/{record_of(out).ledger}/*.parquet").sort("row")


def keys_by_end(out):
    """The keys of all rows by outcome and reason."""
    ends = {}
    for key, outcome, reason in ledger_of(out).select("key", "outcome", "reason").iter_rows():
        ends.setdefault((outcome, reason), set()).add(key)
    return ends


def commits_of(out, pattern):
    """The numbers of the parts, or units, that have a commit in the folders of a pattern."""
    return {int(path.stem) for path in Path(out).glob(pattern) if path.stem.isdigit()}


def bytes_of(out):
    """The bytes of every file of the ledger and of the delivery, by path.

    What a writer that was killed had half written stays behind under a hidden name; `curation gc` sweeps it up.
    """
    record = record_of(out)
    assert record.state == "finished"
    paths = [path for folder in (record.ledger, record.shards) for path in sorted((Path(out) / folder).iterdir())]
    return {str(path.relative_to(out)): path.read_bytes() for path in paths if not path.name.startswith(".writing-")}


def assert_same_end(out, undisturbed):
    """The same keys came to the same ends, every row once, and the ledger and the shards are the same bytes."""
    ledger = ledger_of(out)
    assert ledger["row"].to_list() == list(range(record_of(out).rows))
    assert ledger["key"].n_unique() == len(ledger)
    assert keys_by_end(out) == keys_by_end(undisturbed)
    found, expected = bytes_of(out), bytes_of(undisturbed)
    assert found.keys() == expected.keys()
    assert [path for path in found if found[path] != expected[path]] == []
