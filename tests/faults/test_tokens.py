"""A job server with tokens on lets in who has the token, and nobody else."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from watched_runs import psutil, sockets_of

pytestmark = pytest.mark.timeout(600)

SERVER = """
import ray, sys
dashboard = dict(include_dashboard=True, dashboard_host="127.0.0.1", dashboard_port=int(sys.argv[1]))
ray.init(address="local", num_cpus=1, _temp_dir=sys.argv[2], log_to_driver=False, **dashboard)
print("ready", flush=True)
sys.stdin.read()
"""
CLIENT = """
import sys
from ray.job_submission import JobSubmissionClient
client = JobSubmissionClient(sys.argv[1])
print("jobs:", len(client.list_jobs()))
"""


@pytest.fixture(scope="module")
def server():
    """(address, environment with the token) of a Ray with a dashboard and a job server."""
    folder = Path(tempfile.mkdtemp(prefix="r-", dir="/tmp"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "HOME": str(folder)}
    started = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port), str(folder / "ray")],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    environment["SERVER"] = str(started.pid)
    said = ""
    while "ready" not in said:
        said = started.stdout.readline()
        assert started.poll() is None
    yield f"http://127.0.0.1:{port}", environment
    started.communicate()
    shutil.rmtree(folder)


def status_of(address, token):
    request = urllib.request.Request(f"{address}/api/jobs/")
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_the_job_server_answers_when_the_token_is_right_and_refuses_else(server):
    address, environment = server
    right = environment["RAY_AUTH_TOKEN"]
    assert status_of(address, right) == 200
    assert status_of(address, None) == 401
    assert status_of(address, right[:-1] + ("0" if right[-1] != "0" else "1")) == 403


def test_a_client_is_let_in_when_it_has_the_token_and_refused_else(server):
    address, environment = server
    command = [sys.executable, "-c", CLIENT, address]
    let_in = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert let_in.stdout.split()[-2:] == ["jobs:", "1"], let_in.stderr
    without = {name: value for name, value in environment.items() if not name.startswith("RAY_AUTH")}
    refused = subprocess.run(command, env=without, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "authent" in refused.stderr.lower()


def test_the_job_server_is_on_the_loopback_interface_alone_when_it_is_bound_there(server):
    address, environment = server
    port = int(address.rpartition(":")[2])
    listening = sockets_of(psutil.Process(int(environment["SERVER"])))
    assert {ip for _, ip, at in listening if at == port} == {"127.0.0.1"}
