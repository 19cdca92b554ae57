"""A Ray cluster of several nodes on this machine: real processes, free ports, and nobody else's Ray is touched."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path

from ports import free_port

REPOSITORY = Path(__file__).parents[2]
RAY = Path(sys.executable).with_name("ray")


class _DidNotStartError(AssertionError):
    """Ray did not start all of its servers, or has ended some again."""


class RayCluster:
    """A head without processors, and workers; started with `ray start`, as on machines of one's own.

    Attributes:
        token: What everybody needs who talks to the cluster.
    """

    def __init__(self, nodes):
        """Starts a head, and nodes that carry a custom resource each, such as `{"fetch_node": 2}`: two processors."""
        self.token = secrets.token_hex(32)
        # `python` is what jobs begin with. Theirs must not be the variables of whoever runs the tests.
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "AWS_", "PYTHONPATH"))
        }
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        self.environment = {**kept, "PATH": path, "RAY_worker_niceness": "0", **token}
        # Ray gives up starting after limits of its own, which may be too short on a busy machine.
        for tries_left in (2, 1, 0):
            try:
                self._begin(nodes)
                return
            except BaseException as error:
                self.stop()
                if not tries_left or not isinstance(error, _DidNotStartError):
                    raise

    def _begin(self, nodes):
        self._nodes, self._limit = [], time.monotonic() + 180
        self.folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
        self.port, self.dashboard_port = free_port(), free_port()
        self.address = f"http://127.0.0.1:{self.dashboard_port}"
        head = ["--head", "--num-cpus=0", "--include-dashboard=true", f"--temp-dir={self.folder}"]
        ports = [f"--port={self.port}", f"--dashboard-port={self.dashboard_port}"]
        ports.append(f"--ray-client-server-port={free_port()}")
        self._start([*head, *ports])
        self._await_nodes(1)
        # Of two that start at once on a machine, both may take the same socket, and one of the two dies of it.
        for joined, (carried, cpus) in enumerate(nodes.items(), 2):
            resources = f'--resources={{"{carried}": 1}}'
            self._start([f"--address=127.0.0.1:{self.port}", f"--num-cpus={cpus}", resources])
            self._await_nodes(joined)

    def _await_nodes(self, count):
        while self._count_alive() < count:
            if any(node.poll() is not None for node in self._nodes):
                raise _DidNotStartError(f"a node has ended: {self.logged()}")
            if time.monotonic() > self._limit:
                raise _DidNotStartError(f"a node does not join: {self.logged()}")
            time.sleep(0.5)

    def _count_alive(self):
        try:
            nodes = self._asked_once("/api/v0/nodes")["data"]["result"]["result"]
        except (OSError, HTTPException, ValueError, KeyError, TypeError):
            return 0  # Not all of the head is up yet, or it is busy.
        return sum(node["state"] == "ALIVE" for node in nodes)

    def _start(self, arguments):
        more = ["--disable-usage-stats", "--num-gpus=0", "--block"]
        memory = ["--object-store-memory=100000000", f"--dashboard-agent-listen-port={free_port()}"]
        log = (self.folder / f"node-{len(self._nodes)}.txt").open("wb")
        node = subprocess.Popen(
            [str(RAY), "start", *arguments, *more, *memory],
            env=self.environment,
            cwd=self.folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._nodes.append(node)

    def asked(self, path):
        """The JSON document that the dashboard has at a path; on a busy machine it does not answer every time."""
        for _ in range(10):
            try:
                return self._asked_once(path)
            except OSError:
                time.sleep(2)
        return self._asked_once(path)

    def _asked_once(self, path):
        request = urllib.request.Request(f"{self.address}{path}", headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def logged(self):
        """What the nodes' commands have written last, and what their servers complained of first."""
        commands = [path.read_text(errors="replace")[-2000:] for path in sorted(self.folder.glob("node-*.txt"))]
        complaints = sorted((self.folder / "session_latest" / "logs").glob("*.err"))
        return "\n".join([*commands, *(path.read_text(errors="replace")[:1000] for path in complaints)])

    def files_with(self, text):
        """The files of the cluster, logs included, in which a text stands."""
        wanted = text.encode()
        paths = [path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink()]
        return [path for path in paths if wanted in path.read_bytes()]

    def stop(self):
        """Ends the nodes, the head last, and deletes what they wrote."""
        for node in reversed(self._nodes):
            self._end(node)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, node):
        node.send_signal(signal.SIGTERM)
        try:
            node.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(node.pid, signal.SIGKILL)
            node.wait()
