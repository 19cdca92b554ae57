"""Whole runs against a real object store, broken off and beside each other: the same bytes as on a disk."""

import json
import os
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
from ceph import BUCKET
from picture_recipes import commits_in, measured_in, record_in, results_in, run_pictures, write_picture_recipe
from ports import port_of_its_own
from sandbox_runs import REPOSITORY, SEED, Sandbox

from curation.storage.store import Store
from curation.upkeep.verify import verify_run
from jobs.cli import main
from jobs.sandbox.server import serve
from jobs.sandbox.web import build_web
from stages.deliver.validate import verify_shards

PAIRS, PART_ROWS = 96, 16
PARTS = PAIRS // PART_ROWS
WORKERS = 2
FETCH = "fetch_images-decode_images-fingerprint"


def lent(ray_address):
    """Workers of a cluster have its environment, not the driver's: they are lent what they need to reach the store."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")
    return [word for name in names for word in ("--secret", name)] if ray_address else []


class Runs:
    """Runs of the demo's recipe over a text list: as processes of their own, on Ray or without."""

    def __init__(self, web, listed):
        self._sandbox = Sandbox(web)
        self._listed = listed

    def command(self, out, ray_address=None):
        settings = (
            f"source.path={json.dumps(self._listed)}",
            f"run.part_rows={PART_ROWS}",
            "write_shards.shard_rows=8",
        )
        arguments = self._sandbox.arguments(out, settings, ray_address)
        return [sys.executable, "-m", "jobs.curate", *arguments, *lent(ray_address)]

    def start(self, out, ray_address=None):
        return subprocess.Popen(
            self.command(out, ray_address),
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, out, ray_address=None):
        return ended(self.start(out, ray_address))

    def requests(self):
        return self._sandbox.requests()


def ended(driver):
    printed, said = driver.communicate(timeout=280)
    assert driver.returncode == 0, said[-4000:]
    return json.loads(printed)


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    web = build_web(tmp_path_factory.mktemp("web"), pairs=PAIRS, seed=SEED, port=port_of_its_own())
    with serve(web.folder):
        yield web


@pytest.fixture(scope="module")
def listed(web):
    """The list as CSV, which a run copies into its folder before anything else."""
    path = web.folder / "pairs.csv"
    pl.read_parquet(web.pairs_path).select("url", "caption", "page_url").write_csv(path)
    return path


@pytest.fixture(scope="module")
def undisturbed(web, listed, tmp_path_factory):
    """The folder of a run on a local disk that nothing disturbed."""
    out = tmp_path_factory.mktemp("undisturbed")
    Runs(web, str(listed)).run(str(out))
    return out


@pytest.fixture
def runs(web, listed, ceph, folder):
    """Runs whose list lies in the store, too."""
    ceph.client.put_object(Bucket=BUCKET, Key="lists/pairs.csv", Body=listed.read_bytes())
    return Runs(web, f"s3://{BUCKET}/lists/pairs.csv")


def by_name(results):
    return {path.rpartition("/")[2]: content for path, content in results.items()}


def check_whole(out, undisturbed, orphans=0):
    assert by_name(results_in(out)) == by_name(results_in(undisturbed))
    found = verify_run(out, verify_shards)
    assert found.damages == ()
    assert len(found.orphans) <= orphans
    assert len(commits_in(out)) == len(commits_in(undisturbed))


@pytest.mark.timeout(600)
def test_no_commit_is_lost_and_a_run_on_ray_comes_to_the_same_when_its_driver_was_killed(
    runs, undisturbed, folder, ray_address
):
    store, asked = Store(folder), runs.requests()

    def half_is_fetched():
        phases = [name for name in store.list("pool") if name.startswith(f"{FETCH}-")]
        files = [file.path for name in phases for file in store.files_below(f"pool/{name}")]
        return len([path for path in files if path.startswith("commits-")]) >= PARTS // 2

    driver = runs.start(folder, ray_address)
    limit = time.monotonic() + 280
    while not half_is_fetched():
        assert driver.poll() is None, driver.stderr.read()[-4000:]
        assert time.monotonic() < limit, "the run did not come so far"
        time.sleep(0.1)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    committed = commits_in(folder)
    runs.run(folder, ray_address)
    assert committed <= commits_in(folder)
    done = {int(path.rpartition("/")[2].removesuffix(".json")) for path in committed if FETCH in path}
    assert len(done) >= PARTS // 2
    assert not done & measured_in(folder).get(FETCH, set())
    check_whole(folder, undisturbed, orphans=2 * WORKERS)
    done_again = [path for path, count in (runs.requests() - asked).items() if count > asked[path]]
    assert len([path for path in done_again if not path.endswith("robots.txt")]) <= WORKERS * PART_ROWS


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A recipe that needs no web and no model, and the folder of its run on a local disk."""
    folder = tmp_path_factory.mktemp("pictures")
    recipe = write_picture_recipe(folder)
    assert run_pictures(recipe, folder / "run") == 0
    return recipe, folder / "run"


def start_pictures(recipe, out):
    words = [sys.executable, "-m", "jobs.curate", str(recipe), "--out", str(out), "--json", "--runner", "in-process"]
    return subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.timeout(300)
def test_no_harm_is_done_when_two_drivers_write_to_one_folder(pictures, folder):
    recipe, undisturbed = pictures
    drivers = [start_pictures(recipe, folder) for _ in range(2)]
    told = [ended(driver) for driver in drivers]
    assert told[0] == told[1]
    check_whole(folder, undisturbed)


@pytest.mark.timeout(300)
def test_a_run_goes_on_anywhere_when_it_was_copied(pictures, folder, tmp_path, capsys):
    recipe, undisturbed = pictures
    assert main(["copy", str(undisturbed), f"{folder}/first"]) == 0
    assert main(["copy", f"{folder}/first", f"{folder}/second"]) == 0
    assert main(["copy", f"{folder}/second", str(tmp_path / "back")]) == 0
    for out in (f"{folder}/second", str(tmp_path / "back")):
        check_whole(out, undisturbed)
        assert run_pictures(recipe, out) == 0
        assert measured_in(out) == {}
        assert record_in(out).shards == record_in(undisturbed).shards
    capsys.readouterr()
    name = f"{record_in(undisturbed).shards}/000000.tar"
    Store(f"{folder}/second").write_bytes(name, b"damaged")
    assert main(["verify", f"{folder}/second", "--repair"]) == 0
    assert capsys.readouterr().out.startswith(f"{name}: 7 bytes, not ")
    assert run_pictures(recipe, f"{folder}/second") == 0
    check_whole(f"{folder}/second", undisturbed)


@pytest.mark.timeout(300)
def test_a_model_is_the_same_when_it_is_trained_from_the_store(pictures, folder, tmp_path):
    _, undisturbed = pictures
    assert main(["copy", str(undisturbed), folder]) == 0
    quick = ["--preset", "demo", "--set", "steps=2", "--set", "batch_size=8", "--set", "data.streams=2"]
    assert main(["train", folder, "--out", f"{folder}-model", *quick]) == 0
    assert main(["train", str(undisturbed), "--out", str(tmp_path / "model"), *quick]) == 0
    weights = "model/open_clip_model.safetensors"
    assert Store(f"{folder}-model").read_bytes(weights) == (tmp_path / "model" / weights).read_bytes()
