"""Jobs on a real cluster, by the real command line: a head, two kinds of nodes, a token, a store that wants keys."""

import base64
import io
import json
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections import defaultdict

import pytest
from PIL import Image
from ray_cluster import REPOSITORY, RayCluster
from s3_server import BUCKET, S3Server

from curation.ledger.open_run import open_ledger
from curation.storage.store import Store
from jobs.project_package import project_files

pytestmark = pytest.mark.timeout(900)

RECIPE = """\
name: drawn
source: {kind: url_table, path: LIST}
steps:
  - {kind: fetch_images, allow_public: false, allow_networks: [127.0.0.0/8], allow_ports: null}
  - {kind: decode_images, side_px: 32, min_side: 8, processes: 1}
  - {kind: fingerprint}
  - {kind: write_shards, shard_rows: 10}
run:
  part_rows: 5
  single_writer: true
  placement: {fetch_images: fetch_node, fingerprint: hash_node}
"""
SABOTAGE = """

def _sabotaged(self, table, plain=Fingerprint.process):
    if table.num_rows and table["row"][0].as_py() == 15:
        raise RuntimeError("this part never gets done")
    return plain(self, table)


Fingerprint.process = _sabotaged
"""
WORKERS = ("fetch_images_decode_images", "fingerprint")
# Not written down here: this file travels to the cluster, too.
SECRET = secrets.token_hex(16)
NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ALLOW_HTTP")


class Place:
    """The cluster, the store, and the command line in a folder where the recipe lies."""

    def __init__(self, cluster, server, folder):
        self.cluster, self.folder = cluster, folder
        self.keys = dict(zip(NAMES, ("k", SECRET, server.options["endpoint_url"], "us-east-1", "true"), strict=True))
        self.out = f"s3://{BUCKET}/run"
        (folder / "drawn.yaml").write_text(RECIPE.replace("LIST", str(self.list_of("pairs", map(drawing, range(20))))))

    def list_of(self, name, urls):
        path = self.folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"url": url, "caption": "noise"}) + "\n" for url in urls))
        return path

    def curation(self, *arguments, project=REPOSITORY, token=None):
        """Runs a command to its end: its exit code, and what it wrote."""
        cluster = self.cluster.environment
        access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token or self.cluster.token}
        done = subprocess.run(
            [sys.executable, "-m", "jobs.cli", *arguments],
            cwd=self.folder,
            env={
                **cluster,
                **access,
                **self.keys,
                "PYTHONPATH": str(project),
                "RAY_API_SERVER_ADDRESS": self.cluster.address,
            },
            capture_output=True,
            text=True,
            timeout=600,
        )
        return done.returncode, done.stdout, done.stderr

    def workers(self):
        """The workers of steps that have a node, as the cluster shows them."""
        actors = self.cluster.asked("/api/v0/actors?detail=1&limit=10000")["data"]["result"]["result"]
        return [actor for actor in actors if actor["class_name"] in WORKERS and actor["node_id"]]

    def submit(self, *arguments, out=None, **options):
        secrets = [word for name in NAMES for word in ("--secret", name)]
        return self.curation("submit", "drawn.yaml", "--out", out or self.out, *secrets, *arguments, **options)


def drawing(seed):
    body = io.BytesIO()
    Image.effect_noise((64, 48), 50 + seed).convert("RGB").save(body, "PNG")
    return f"data:image/png;base64,{base64.b64encode(body.getvalue()).decode()}"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    cluster, server = RayCluster({"fetch_node": 2, "hash_node": 2}), S3Server()
    try:
        yield Place(cluster, server, tmp_path_factory.mktemp("here"))
    finally:
        cluster.stop()
        server.close()


@pytest.fixture(scope="module")
def sabotaged_job(place):
    """A job whose code, as it is here, fails at one part of four at every try."""
    project = place.folder / "project"
    for path in project_files(REPOSITORY):
        target = project / path.relative_to(REPOSITORY)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    with (project / "stages" / "fingerprint" / "images.py").open("a") as file:
        file.write(SABOTAGE)
    code, output, errors = place.submit("--json", project=project)
    return code, json.loads(output), errors


@pytest.fixture
def access(place, monkeypatch):
    for name, value in place.keys.items():
        monkeypatch.setenv(name, value)


def test_exit_code_is_the_drivers_when_a_part_of_a_submitted_run_is_set_aside(place, sabotaged_job):
    code, job, errors = sabotaged_job
    assert (code, job["status"], job["exit_code"]) == (3, "FAILED", 3), errors
    assert job["metadata"] == {"kind": "curate", "name": "drawn", "out": place.out}
    assert (
        "this part never gets done" in errors or "set aside: fetch_images-decode_images-fingerprint, unit 3" in errors
    )


def test_steps_ran_on_the_nodes_meant_for_them_when_the_recipe_places_them(place, sabotaged_job):
    carried = {
        node["node_id"]: {"fetch_node", "hash_node"} & set(node["resources_total"])
        for node in place.cluster.asked("/api/v0/nodes?detail=1")["data"]["result"]["result"]
    }
    ran_on = defaultdict(set)
    for actor in place.workers():
        ran_on[actor["class_name"]] |= carried[actor["node_id"]]

    assert ran_on == {
        "fetch_images_decode_images": {"fetch_node"},
        "fingerprint": {"hash_node"},
    }


def test_secret_is_nowhere_but_in_memory_when_a_job_had_it(place, sabotaged_job, access):
    _, job, errors = sabotaged_job
    store = Store(place.out)

    assert place.cluster.files_with(SECRET) == []
    assert SECRET not in json.dumps(place.cluster.asked("/api/jobs/"))
    assert SECRET not in json.dumps(place.cluster.asked("/api/v0/actors?detail=1"))
    assert SECRET not in json.dumps(job) + errors
    assert [path for path in store.fs.find(store.locate("")) if SECRET.encode() in store.fs.cat_file(path)] == []
    assert "AWS_SECRET_ACCESS_KEY" in job["entrypoint"]


def test_run_goes_on_where_it_was_left_when_submitted_again(place, sabotaged_job, access):
    code, output, errors = place.submit()

    assert code == 0, output + errors
    assert "20 rows in = 20 kept + 0 rejected + 0 failed" in output
    assert sorted(open_ledger(place.out).collect()["row"]) == list(range(20))


def test_code_is_2_when_no_node_carries_what_a_step_is_placed_by(place):
    code, output, _ = place.submit("--set", "run.placement.fetch_images=moon_node", out=f"s3://{BUCKET}/moon")

    assert code == 2
    assert (
        "is placed on nodes with the resource moon_node, but the cluster has no such node (its nodes carry fetch_node, "
        "hash_node)"
    ) in output


def test_job_ends_and_keeps_what_is_committed_when_it_is_stopped(place, access):
    silent = socket.create_server(("127.0.0.1", 0), backlog=64)
    slow = place.list_of("slow", [f"http://127.0.0.1:{silent.getsockname()[1]}/{row}.png" for row in range(5)])
    settings = ("--set", f"source.path={slow}", "--set", "fetch_images.total_timeout_s=900.0")
    out = f"s3://{BUCKET}/slow"
    code, name, errors = place.submit(
        "--no-wait", *settings, "--set", "fetch_images.first_byte_timeout_s=900.0", out=out
    )
    assert code == 0, errors
    name = name.strip()
    limit = time.monotonic() + 240
    while not any(actor["state"] == "ALIVE" for actor in place.workers()):
        assert time.monotonic() < limit, place.curation("jobs", "logs", name)
        time.sleep(1)

    assert place.curation("jobs", "stop", name)[:2] == (0, f"{name}: STOPPED\n")
    code, logs, _ = place.curation("jobs", "logs", "-f", name)
    assert code == 130
    assert logs.rstrip().endswith("interrupted; everything committed is kept, the same command goes on from there")
    assert json.loads(Store(out).read_bytes("run.json"))["state"] == "interrupted"
    status = json.loads(place.curation("jobs", "status", name, "--json")[1])
    assert (status["status"], status["exit_code"]) == ("STOPPED", None)
    assert place.curation("jobs", "stop", name)[:2] == (0, f"{name}: STOPPED already\n")
    silent.close()


def test_jobs_are_listed_with_their_codes_when_some_have_ended(place, sabotaged_job):
    listed = json.loads(place.curation("jobs", "list", "--json")[1])["jobs"]

    (first,) = [job for job in listed if job["job"] == sabotaged_job[1]["job"]]
    assert (first["status"], first["exit_code"], first["metadata"]["out"]) == ("FAILED", 3, place.out)
    assert first["job"] in place.curation("jobs", "list")[1]


@pytest.mark.parametrize("action", ["status", "logs", "stop"])
def test_job_is_refused_when_there_is_none_of_the_name(place, action):
    code, _, errors = place.curation("jobs", action, "drawn-0")

    assert code == 2
    assert errors == f"drawn-0: no such job at {place.cluster.address}; `curation jobs list` shows what there is\n"


def test_token_is_asked_for_when_the_cluster_has_another_one(place):
    code, _, errors = place.curation("jobs", "list", token="f" * 64)

    assert code == 2
    assert f"{place.cluster.address}: the cluster wants a token: set RAY_AUTH_MODE=token" in errors
