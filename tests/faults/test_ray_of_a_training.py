"""A training of two processes on a Ray of its own: it learns what one process does, and whom Ray lets in."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from ipaddress import ip_address
from pathlib import Path

import pytest
from coloured_shards import write_coloured_shards
from watched_runs import ROOT, sockets_of

from jobs.training.config import DataConfig, TrainConfig
from jobs.training.loop import train

import psutil  # isort: skip

# A vision transformer has no batch norm, whose statistics would be those of each process's share.
CONFIG = TrainConfig(
    model="tiny-vit",
    steps=4,
    batch_size=8,
    warmup_steps=1,
    log_every=1,
    precision="fp32",
    compute_threads=1,
    data=DataConfig(streams=2, hard_negatives="given", shuffle_buffer=10),
)


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """Its process, when it has ended, with `sockets`, `said` and the folders of shards and of what it made."""
    folder, shards = tmp_path_factory.mktemp("training"), tmp_path_factory.mktemp("shards")
    write_coloured_shards(shards)
    # What lies deeper has no room for the names of Ray's sockets.
    temporary = tempfile.mkdtemp(prefix="r-", dir="/tmp")
    (folder / "settings.yaml").write_text(CONFIG.model_dump_json())
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "PYTEST_"))}
    environment |= {"PYTHONPATH": str(ROOT), "RAY_TMPDIR": temporary, "HOME": str(folder / "home")}
    environment |= {"RAY_worker_niceness": "0"}
    command = [sys.executable, "-m", "jobs.train", str(shards), "--out", str(folder / "out")]
    command += ["--config", "settings.yaml", "--workers", "2"]
    (folder / "home").mkdir()
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)
        process.sockets = set()
        while process.poll() is None:
            with contextlib.suppress(psutil.Error):
                process.sockets |= set(sockets_of(psutil.Process(process.pid)))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2)
    process.shards, process.out = shards, folder / "out"
    process.said = (folder / "said").read_text()
    process.token = folder / "home" / ".ray" / "auth_token"
    process.folder = Path(temporary)
    yield process
    shutil.rmtree(temporary)


def losses(out):
    return [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_losses_are_those_of_one_process_when_two_train(training, tmp_path):
    assert training.returncode == 0, training.said
    train(training.shards, tmp_path, CONFIG)
    expected, found = losses(tmp_path), losses(training.out)
    assert len(found) == 4
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_socket_of_ray_is_on_the_loopback_interface_when_a_training_starts_ray(training):
    assert training.returncode == 0, training.said
    commands = " ".join(command for command, _, _ in training.sockets)
    assert "raylet" in commands
    assert "gcs_server" in commands
    # Where torch's own processes meet, it listens everywhere: its store takes no address.
    of_ray = [(command, address) for command, address, _ in training.sockets if "RayTrainWorker" not in command]
    assert [each for each in of_ray if not ip_address(each[1].removeprefix("::ffff:")).is_loopback] == []


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_session_and_token_are_the_owner_s_alone_when_a_training_starts_ray(training):
    (private,) = training.folder.iterdir()
    assert private.stat().st_mode & 0o777 == 0o700
    assert training.token.stat().st_mode & 0o777 == 0o600
