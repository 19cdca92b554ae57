"""A real run on a Ray of its own: whom it lets in, and what it leaves behind of the secrets that it was given."""

from ipaddress import ip_address

import pytest
from watched_runs import finished_run

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with finished_run(tmp_path_factory.mktemp("ray")) as made:
        yield made


def test_a_part_failed_with_secrets_in_its_error_when_the_run_has_ended(run):
    run.assert_failed_with_masked_errors()


def test_no_secret_is_left_behind_when_everything_is_searched(run):
    logs = [path for path in run.ray.rglob("worker-*.err") if b"http://***@127.0.0.1" in path.read_bytes()]
    assert logs, "a worker has said what failed"
    run.assert_no_secret_is_left()


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
