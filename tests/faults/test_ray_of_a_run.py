"""A real run on a Ray of its own: whom it lets in, and what it leaves behind of the secrets that it was given."""

import shutil
from ipaddress import ip_address

import pytest
from planted_secrets import SECRETS, leaks
from watched_runs import FinishedRun

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = FinishedRun(tmp_path_factory.mktemp("ray"))
    yield made
    shutil.rmtree(made.ray)


def test_a_part_failed_with_secrets_in_its_error_when_the_run_has_ended(run):
    errors = [line["error"] for line in run.metrics() if line.get("error")]
    assert run.exit_code == 3, run.said
    assert run.server.refused
    assert errors
    assert all("http://***@127.0.0.1" in error and "X-Amz-Signature=***" in error for error in errors)


def test_no_secret_is_left_behind_when_everything_is_searched(run):
    logs = [path for path in run.ray.rglob("worker-*.err") if b"http://***@127.0.0.1" in path.read_bytes()]
    assert logs, "a worker has said what failed"
    assert leaks(run.out.parent) == []
    assert leaks(run.ray) == []
    assert [secret for secret in SECRETS if secret in run.said] == []


def test_every_socket_is_on_the_loopback_interface_when_a_run_starts_ray(run):
    listening = {(ip_address(address.removeprefix("::ffff:")), port) for _, address, port in run.sockets}
    commands = " ".join(command for command, _, _ in run.sockets)
    assert "raylet" in commands
    assert "gcs_server" in commands
    assert {address.is_loopback for address, _ in listening} == {True}, run.sockets
    assert [port for _, port in listening if 8265 <= port < 8365] == [], "the dashboard takes the first free of these"


def test_session_and_token_are_the_owner_s_alone_when_a_run_starts_ray(run):
    token = run.home / ".ray" / "auth_token"
    (private,) = run.ray.iterdir()
    assert token.stat().st_mode & 0o777 == 0o600
    assert private.stat().st_mode & 0o777 == 0o700
    assert len([path for path in private.rglob("session_2*") if path.is_dir()]) == 1
    assert [path for path in run.ray.rglob("*") if path.is_file() and token.read_bytes() in path.read_bytes()] == []
