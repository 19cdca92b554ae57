"""Joins a Ray cluster, or starts a Ray for this run alone that nobody else can reach.

Whoever reaches a Ray runs code in its owner's name. So a Ray of our own listens on the loopback interface alone, has no
dashboard and no job server, wants a token of everybody, and its session lies in a folder of the owner's.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants

_TOKEN_BYTES = 32


def join_or_start_ray(address: str | None, *, log_to_driver: bool = False, metrics_port: int | None = None) -> None:
    """Joins the cluster at the address or at RAY_ADDRESS; where neither is given, starts one of our own.

    Never takes up with a Ray that only happens to run on this machine: whose it is, nobody knows.

    Args:
        address: As Ray knows it; `local` always starts one.
        log_to_driver: Whether what workers say is shown here, too.
        metrics_port: Where one of our own offers its figures to Prometheus; None: where it likes.
    """
    # What goes wrong comes back as an exception or a report; Ray's own words would drown the progress.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    # Nobody is told what runs here, unless its owner says so.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    if address == "local":
        start_ray(log_to_driver=log_to_driver, metrics_port=metrics_port)
    else:
        ray.init(address=address, log_to_driver=log_to_driver, logging_level=logging.ERROR)


def start_ray(*, log_to_driver: bool = False, metrics_port: int | None = None) -> None:
    """Starts a Ray that listens on the loopback interface alone and wants a token."""
    _make_token_private()
    port: dict[str, Any] = {} if metrics_port is None else {"_metrics_export_port": metrics_port}
    with _on_loopback():
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=log_to_driver,
            logging_level=logging.ERROR,
            _temp_dir=str(_private_folder() / "ray"),
            **port,
        )


def _private_folder() -> Path:
    """Where Ray's sockets and logs lie: Ray lets everybody write into the folders that it makes, so one is put around.

    No deeper than it must be, since the path of a socket has at most 107 characters.
    """
    parent = Path(os.environ.get("RAY_TMPDIR") or "/tmp")  # noqa: S108 - where Ray itself would go
    folder = parent / f"curation-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        # Somebody else was there first.
        return Path(tempfile.mkdtemp(prefix="curation-", dir=parent))
    return folder


@contextlib.contextmanager
def _on_loopback() -> Iterator[None]:
    """Ray takes the loopback interface where it may have no more than one node; else it listens on all of them.

    The switch is the environment variable RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER, which is read when Ray is imported.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _make_token_private() -> None:
    """Ray makes a token of its own where there is none, in a file that everybody can read."""
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token" or os.environ.get("RAY_AUTH_TOKEN"):
        return
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        descriptor, written = tempfile.mkstemp(prefix=path.name, dir=path.parent)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_TOKEN_BYTES))
        try:
            # All at once: another run that starts at the same time must find none, or a whole one.
            with contextlib.suppress(FileExistsError):
                os.link(written, path)
        finally:
            os.unlink(written)
    if path.stat().st_uid == os.getuid() and path.stat().st_mode & 0o077:
        path.chmod(0o600)


def head_is_gone() -> bool:
    """Whether nobody listens where the head of the cluster was that this process has joined."""
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        # It is slow, or out of reach for now.
        return False
    return False
