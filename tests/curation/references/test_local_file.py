import os
import socket
import threading
from pathlib import Path

import pytest

from curation.net.failures import FetchFailure
from curation.references.local_file import AllowedFolders, path_of_file_url
from schemas.outcomes import FailureReason


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "allowed"
    (made / "deeper").mkdir(parents=True)
    (made / "a.jpg").write_bytes(b"inside")
    (made / "deeper" / "b.jpg").write_bytes(b"deeper")
    (tmp_path / "secret").write_bytes(b"outside")
    (tmp_path / "allowed-not").mkdir()
    (tmp_path / "allowed-not" / "c").write_bytes(b"outside")
    return made


def read(folder: Path, path: object, cap: int = 100) -> bytes:
    return AllowedFolders([str(folder)]).read(str(path), cap)


def refusal(folder: Path, path: object, cap: int = 100) -> FailureReason:
    with pytest.raises(FetchFailure) as caught:
        read(folder, path, cap)
    return caught.value.reason


def test_files_are_read_when_they_lie_below_an_allowed_folder(folder: Path):
    assert read(folder, folder / "a.jpg") == b"inside"
    assert read(folder, folder / "deeper" / ".." / "deeper" / "b.jpg") == b"deeper"
    assert AllowedFolders(["/nowhere", f"{folder}/"]).read(str(folder / "a.jpg"), 6) == b"inside"


@pytest.mark.parametrize("path", ["../secret", "deeper/../../secret", "../allowed-not/c", "/etc/hostname", "."])
def test_files_are_refused_when_they_lie_elsewhere(folder: Path, path: str):
    assert refusal(folder, os.path.join(folder, path)) is FailureReason.REFERENCE_DENIED


def test_links_are_refused_when_they_lead_out(folder: Path):
    (folder / "link").symlink_to(folder.parent / "secret")
    (folder / "way").symlink_to(folder.parent)
    (folder / "kin").symlink_to(folder / "a.jpg")
    assert refusal(folder, folder / "link") is FailureReason.REFERENCE_DENIED
    assert refusal(folder, folder / "way" / "secret") is FailureReason.REFERENCE_DENIED
    assert read(folder, folder / "kin") == b"inside"


def test_an_allowed_folder_may_be_a_link_itself(folder: Path):
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert read(link, link / "a.jpg") == b"inside"


def test_nothing_but_regular_files_is_opened(folder: Path, monkeypatch: pytest.MonkeyPatch):
    os.mkfifo(folder / "fifo")
    (folder / "device").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        # The address of a socket is too short for a whole path.
        monkeypatch.chdir(folder)
        listener.bind("socket")
        for name in ("fifo", "device", "socket", "deeper"):
            assert refusal(folder, folder / name) is FailureReason.REFERENCE_DENIED
    assert refusal(Path("/dev"), "/dev/zero") is FailureReason.REFERENCE_DENIED


def test_no_more_is_read_than_the_cap(folder: Path):
    assert refusal(folder, folder / "a.jpg", cap=5) is FailureReason.BODY_TOO_LARGE
    (folder / "sparse").touch()
    os.truncate(folder / "sparse", 1 << 40)
    assert refusal(folder, folder / "sparse", cap=1 << 20) is FailureReason.BODY_TOO_LARGE


def test_a_file_of_unknown_length_is_capped_while_it_is_read():
    # What lies in /proc says that it is empty.
    path = f"/proc/{os.getpid()}/maps"
    assert refusal(Path("/proc"), path, cap=100) is FailureReason.BODY_TOO_LARGE
    assert read(Path("/proc"), path, cap=10_000_000)


def test_what_is_missing_is_an_error_of_the_system(folder: Path):
    with pytest.raises(FileNotFoundError):
        read(folder, folder / "missing")
    with pytest.raises(NotADirectoryError):
        read(folder, folder / "a.jpg" / "b")
    (folder / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="symbolic links"):
        read(folder, folder / "circle")


def test_no_secret_is_read_when_a_link_is_exchanged_all_the_time(folder: Path):
    """The classic race: between the check and the opening, the file becomes a link to elsewhere."""
    flapping, good = folder / "flapping", folder / "deeper"
    (good / "secret").write_bytes(b"inside")
    over = threading.Event()

    def exchange() -> None:
        while not over.is_set():
            for target in (good, folder.parent):
                (folder / "next").symlink_to(target)
                os.replace(folder / "next", flapping)

    exchange_thread = threading.Thread(target=exchange)
    exchange_thread.start()
    found = set()
    try:
        for _ in range(3000):
            try:
                found.add(read(folder, flapping / "secret"))
            except FetchFailure as failure:
                found.add(failure.reason.value)
            except OSError:
                continue
    finally:
        over.set()
        exchange_thread.join()
    assert b"outside" not in found
    assert {b"inside", "reference_denied"} <= found


def test_reading_ends_when_nobody_waits(folder: Path):
    with pytest.raises(FetchFailure) as caught:
        AllowedFolders([str(folder)]).read(str(folder / "a.jpg"), 100, lambda: False)
    assert caught.value.reason is FailureReason.READ_TIMEOUT


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///a/b.jpg", "/a/b.jpg"),
        ("file:/a/b.jpg", "/a/b.jpg"),
        ("file://localhost/a/b", "/a/b"),
        ("file:///a%20b/%C3%BC.jpg", "/a b/ü.jpg"),
        ("file:///a/100%.jpg?x#1", "/a/100%.jpg?x#1"),
    ],
)
def test_a_url_names_a_path_when_it_is_absolute(url: str, path: str):
    assert path_of_file_url(url) == path


@pytest.mark.parametrize("url", ["file://host/a", "file:a", "file:", "file://", "file:///a%00b"])
def test_a_url_names_no_path_when_it_is_of_another_machine_or_relative(url: str):
    with pytest.raises(FetchFailure) as caught:
        path_of_file_url(url)
    assert caught.value.reason is FailureReason.INVALID_URL
