"""What is done before a Ray of our own starts. Its sockets are looked at in tests/faults/test_ray_of_a_run.py."""

import os
import stat
import threading
from pathlib import Path

import pytest

from curation.runtime.on_ray import start


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home and a place for temporary files that nobody else has."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "tmp"))
    return tmp_path / "home"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_token_is_made_once_and_for_its_owner_when_there_is_none(home):
    start._make_token_private()
    first = (home / ".ray" / "auth_token").read_text()
    start._make_token_private()
    assert (home / ".ray" / "auth_token").read_text() == first
    assert len(first) == 64
    assert mode_of(home / ".ray" / "auth_token") == 0o600


def test_the_token_is_whole_whenever_it_is_there_when_several_runs_start_at_once(home):
    barrier = threading.Barrier(8)
    seen = []

    def begin():
        barrier.wait()
        start._make_token_private()
        seen.append((home / ".ray" / "auth_token").read_text())

    for _ in range(20):
        (home / ".ray" / "auth_token").unlink(missing_ok=True)
        seen.clear()
        threads = [threading.Thread(target=begin) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 8
        assert {len(token) for token in seen} == {64}
        assert len(set(seen)) == 1
        assert [path.name for path in (home / ".ray").iterdir()] == ["auth_token"]


def test_the_token_is_taken_from_others_when_ray_let_them_read_it(home):
    (home / ".ray").mkdir(parents=True)
    (home / ".ray" / "auth_token").write_text("known")
    (home / ".ray" / "auth_token").chmod(0o644)
    start._make_token_private()
    assert (home / ".ray" / "auth_token").read_text() == "known"
    assert mode_of(home / ".ray" / "auth_token") == 0o600


@pytest.mark.parametrize(("name", "value"), [("RAY_AUTH_TOKEN", "given"), ("RAY_AUTH_MODE", "disabled")])
def test_no_token_is_made_when_the_environment_has_it_or_wants_none(home, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    start._make_token_private()
    assert not home.exists()


def test_the_folder_is_closed_to_others_when_it_is_made_and_used_again(tmp_path):
    folder = start._private_folder()
    assert folder == tmp_path / "tmp" / f"curation-{os.getuid()}"
    assert mode_of(folder) == 0o700
    assert start._private_folder() == folder


@pytest.mark.parametrize("trap", ["link", "open", "file"])
def test_another_folder_is_made_when_somebody_else_was_there_first(tmp_path, trap):
    taken = tmp_path / "tmp" / f"curation-{os.getuid()}"
    taken.parent.mkdir()
    if trap == "link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        taken.symlink_to(tmp_path / "theirs")
    elif trap == "open":
        taken.mkdir()
        taken.chmod(0o777)
    else:
        taken.write_text("")
    folder = start._private_folder()
    assert folder.parent == taken.parent
    assert folder != taken
    assert mode_of(folder) == 0o700


@pytest.mark.parametrize(
    ("address", "environment", "joined"),
    [
        (None, None, None),
        ("local", "10.0.0.1:1", None),
        (None, "auto", "auto"),
        ("10.0.0.2:1", "10.0.0.1:1", "10.0.0.2:1"),
    ],
)
def test_a_ray_is_joined_only_when_it_was_named(monkeypatch, address, environment, joined):
    asked = []
    monkeypatch.setattr(start.ray, "init", lambda **given: asked.append(given["address"]))
    monkeypatch.setattr(start, "start_ray", lambda **_: asked.append(None))
    if environment:
        monkeypatch.setenv("RAY_ADDRESS", environment)
    start.join_or_start_ray(address)
    assert asked == [joined]
