"""A real run on a Ray of its own: whom it lets in, and what it leaves behind of the secrets that it was given."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from ipaddress import ip_address
from pathlib import Path

import planted_secrets
import pytest
import ray._private.utils  # noqa: F401 - brings psutil with it
from planted_secrets import ENVIRONMENT, SECRETS, SecretiveServer, leaks

import psutil  # isort: skip

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(240)


def sockets_of(process):
    """(command, address) of every socket that a process or one below it listens at."""
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            command = " ".join(one.cmdline())
            for connection in one.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    yield command, connection.laddr.ip


class FinishedRun:
    """`curation run` as a process of its own, watched until it ends."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.out = folder / "out"
        # What lies deeper has no room for the names of Ray's sockets.
        self.ray = Path(tempfile.mkdtemp(prefix="r-", dir="/tmp"))
        self.home = folder / "home"
        self.home.mkdir()
        self.server = SecretiveServer(folder, self._measures)
        (folder / "recipe.yaml").write_text(planted_secrets.recipe_text(self.server.port))
        unwanted = ("RAY_", "PYTEST_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        environment |= {"PYTHONPATH": str(ROOT), "RAY_TMPDIR": str(self.ray), "HOME": str(self.home), **ENVIRONMENT}
        command = [sys.executable, "-m", "jobs.curate", "recipe.yaml", "--out", str(self.out), *arguments]
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=stdout, stderr=stderr)
            self.sockets = set()
            self.session_modes = set()
            while process.poll() is None:
                self._look(process.pid)
                time.sleep(1)
        self.server.close()
        (folder / "recipe.yaml").unlink()
        self.exit_code = process.returncode
        self.said = (folder / "stdout").read_text() + (folder / "stderr").read_text()

    def _measures(self):
        with contextlib.suppress(OSError, ValueError, KeyError):
            items = json.loads((self.out / "run.json").read_text())["items"]
            return [item["kind"] for item in items] == ["phase"]
        return False

    def _look(self, pid):
        with contextlib.suppress(psutil.Error):
            self.sockets |= set(sockets_of(psutil.Process(pid)))

    def metrics(self):
        lines = [line for path in sorted(self.out.glob("metrics/*")) for line in path.read_text().splitlines()]
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module", params=["ray", "in-process"])
def run(request, tmp_path_factory):
    made = FinishedRun(tmp_path_factory.mktemp(request.param), "--runner", request.param)
    yield made
    shutil.rmtree(made.ray)


def test_the_secrets_were_used_and_a_part_failed_with_one_in_its_error_when_the_run_ended(run):
    errors = [line["error"] for line in run.metrics() if line.get("error")]
    assert run.exit_code == 3, run.said
    assert run.server.refused
    assert errors
    assert all("http://***@127.0.0.1" in error and "X-Amz-Signature=***" in error for error in errors)


def test_no_secret_is_left_behind_when_everything_is_searched(run):
    folders = [run.out.parent, run.ray]
    assert [leak for folder in folders for leak in leaks(folder)] == []
    assert [secret for secret in SECRETS if secret in run.said] == []
    resolved = (run.out / "recipe.yaml").read_text()
    assert "http://***@127.0.0.1" in resolved
    assert resolved.count("'***'") == 3


def test_every_socket_is_on_the_loopback_interface_when_a_run_starts_ray(run, request):
    addresses = {ip_address(address.removeprefix("::ffff:")) for _, address in run.sockets}
    if "in-process" in request.node.callspec.id:
        assert addresses == set()
        return
    assert any("raylet" in command for command, _ in run.sockets), "the sockets of Ray were seen"
    assert any("gcs_server" in command for command, _ in run.sockets)
    assert {address.is_loopback for address in addresses} == {True}, run.sockets
    assert [command for command, _ in run.sockets if "dashboard/dashboard.py" in command] == []


def test_session_and_token_are_the_owner_s_alone_when_a_run_starts_ray(run, request):
    if "in-process" in request.node.callspec.id:
        assert list(run.ray.iterdir()) == []
        return
    token = run.home / ".ray" / "auth_token"
    (private,) = run.ray.iterdir()
    assert token.stat().st_mode & 0o777 == 0o600
    assert private.stat().st_mode & 0o777 == 0o700
    assert len([path for path in private.rglob("session_2*") if path.is_dir()]) == 1
    assert [leak for leak in run.ray.rglob("*") if leak.is_file() and token.read_bytes() in leak.read_bytes()] == []
