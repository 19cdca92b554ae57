"""`curation run` as a process of its own, with planted secrets, watched from outside until it ends."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ray._private.utils  # noqa: F401 - brings psutil with it
from planted_secrets import BY_NAME, ENVIRONMENT, REGION, SECRETS, SecretiveServer, leaks, recipe_text

import psutil  # isort: skip

ROOT = Path(__file__).parents[2]


def sockets_of(process):
    """(command, address, port) of every socket that a process or one below it listens at."""
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            command = " ".join(one.cmdline())
            for connection in one.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    yield command, connection.laddr.ip, connection.laddr.port


class FinishedRun:
    """`curation run` as a process of its own, watched until it ends."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.out = folder / "out"
        # What lies deeper has no room for the names of Ray's sockets.
        self.ray = Path(tempfile.mkdtemp(prefix="r-", dir="/tmp"))
        self.home = folder / "home"
        self.home.mkdir()
        self.server = SecretiveServer(folder, self._measures)
        (folder / "recipe.yaml").write_text(recipe_text(self.server.port))
        unwanted = ("RAY_", "PYTEST_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        environment |= {"PYTHONPATH": str(ROOT), "RAY_TMPDIR": str(self.ray), "HOME": str(self.home), **ENVIRONMENT}
        # Its workers would be nicer than what else this machine does, and wait for it.
        environment["RAY_worker_niceness"] = "0"
        command = [sys.executable, "-m", "jobs.curate", "recipe.yaml", "--out", str(self.out), *arguments]
        command += [word for name in BY_NAME for word in ("--secret", name)]
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=stdout, stderr=stderr)
            self.sockets = set()
            self.session_modes = set()
            while process.poll() is None:
                self._look(process.pid)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1)
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

    def assert_failed_with_masked_errors(self):
        """A part failed, and the errors that were noted would have shown secrets."""
        errors = [line["error"] for line in self.metrics() if line.get("error")]
        assert self.exit_code == 3, self.said
        assert self.server.refused
        assert errors
        assert all("http://***@127.0.0.1" in error and "X-Amz-Signature=***" in error for error in errors)
        assert all(f"?who=***&at={REGION}&" in error for error in errors)

    def assert_no_secret_is_left(self):
        """None in the folders of the run and of its Ray, and none in what it said."""
        assert leaks(self.out.parent) == []
        assert leaks(self.ray) == []
        assert [secret for secret in SECRETS if secret in self.said] == []


@contextlib.contextmanager
def finished_run(folder: Path, *arguments: str) -> Iterator[FinishedRun]:
    """A run that has ended, with what its Ray has left behind."""
    made = FinishedRun(folder, *arguments)
    yield made
    shutil.rmtree(made.ray)
