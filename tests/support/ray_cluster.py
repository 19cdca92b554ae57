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
from pathlib import Path

from ports import free_port

REPOSITORY = Path(__file__).parents[2]
RAY = Path(sys.executable).with_name("ray")


class RayCluster:
    """A head without processors, and workers; started with `ray start`, as on machines of one's own.

    Attributes:
        token: What everybody needs who talks to the cluster.
    """

    def __init__(self):
        self.token = secrets.token_hex(32)
        self.folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
        self.port, self.dashboard_port = free_port(), free_port()
        self.address = f"http://127.0.0.1:{self.dashboard_port}"
        # `python` is what jobs begin with. Theirs must not be the variables of whoever runs the tests.
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "AWS_", "PYTHONPATH"))
        }
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        self.environment = {**kept, "PATH": path, "RAY_worker_niceness": "0", **token}
        self._nodes, self._starts = [], 0
        head = ["--head", "--num-cpus=0", "--include-dashboard=true", f"--temp-dir={self.folder}"]
        ports = [f"--port={self.port}", f"--dashboard-port={self.dashboard_port}"]
        ports.append(f"--ray-client-server-port={free_port()}")
        self._start([*head, *ports])
        try:
            self._until(self._has_job_server, "its job server does not answer")
        except BaseException:
            self.stop()
            raise

    def add_nodes(self, nodes):
        """Starts nodes that carry a custom resource each, such as `{"fetch_node": 2}`: one with two processors."""
        arguments = {
            carried: [f"--address=127.0.0.1:{self.port}", f"--num-cpus={cpus}", f'--resources={{"{carried}": 1}}']
            for carried, cpus in nodes.items()
        }
        started = {carried: self._start(how) for carried, how in arguments.items()}
        for carried, how in arguments.items():
            self._until_joined(started[carried], carried, how)

    def _until_joined(self, node, carried, arguments):
        # A node gives up after 30 seconds, which may be too few on a busy machine.
        for _ in range(3):
            limit = time.monotonic() + 60
            while node.poll() is None and time.monotonic() < limit:
                if self._is_alive(carried):
                    return
                time.sleep(0.5)
            self._nodes.remove(node)
            self._end(node)
            node = self._start(arguments)
        raise AssertionError(f"the node does not join: {self.logged()}")

    def _is_alive(self, carried):
        nodes = self.asked("/api/v0/nodes?detail=1")["data"]["result"]["result"]
        return any(node["state"] == "ALIVE" and carried in node["resources_total"] for node in nodes)

    def _start(self, arguments):
        more = ["--disable-usage-stats", "--num-gpus=0", "--block"]
        memory = ["--object-store-memory=100000000", f"--dashboard-agent-listen-port={free_port()}"]
        self._starts += 1
        log = (self.folder / f"node-{self._starts}.txt").open("wb")
        node = subprocess.Popen(
            [str(RAY), "start", *arguments, *more, *memory],
            env=self.environment,
            cwd=self.folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._nodes.append(node)
        return node

    def _has_job_server(self):
        try:
            return "ray_version" in self._asked_once("/api/version")
        except OSError:
            return False

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

    def _until(self, condition, otherwise):
        limit = time.monotonic() + 180
        while not condition():
            assert all(node.poll() is None for node in self._nodes), f"a node has ended: {self.logged()}"
            assert time.monotonic() < limit, f"{otherwise}: {self.logged()}"
            time.sleep(0.2)

    def logged(self):
        """What the nodes' commands have written."""
        return "".join(path.read_text(errors="replace")[-2000:] for path in sorted(self.folder.glob("node-*.txt")))

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
