"""Files of this machine, out of the folders that a recipe allows and no others."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from urllib.parse import unquote_to_bytes

from curation.net.failures import FetchFailure
from curation.references.blocking_calls import Progress
from schemas.outcomes import FailureReason

_BLOCK_BYTES = 1 << 20
# A FIFO without a writer would hang the one who opens it.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)


class AllowedFolders:
    """Reads files that lie in certain folders, symbolic links resolved.

    Building one does no I/O.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        self._folders = tuple(os.path.normpath(folder) for folder in folders)

    def read(self, path: str, max_bytes: int, go_on: Progress = lambda: True) -> bytes:
        """The content of a file.

        Args:
            path: Absolute.
            max_bytes: Cap; no more than that is read.
            go_on: Asked between any two blocks whether anybody still waits.

        Raises:
            FetchFailure: The path lies, or leads, outside of the folders; it is no regular file; it is too long.
            OSError: It cannot be read.
        """
        # Said before the disk is touched: a list must not learn what else there is.
        self._require_inside(os.path.normpath(path), self._folders)
        real = os.path.realpath(path, strict=True)
        self._require_inside(real, [os.path.realpath(folder) for folder in self._folders])
        # Opening a device can do something, so its kind is looked at first.
        _require_regular(os.lstat(real))
        descriptor = os.open(real, _FLAGS)
        with open(descriptor, "rb", buffering=0) as file:
            found = os.fstat(descriptor)
            _require_regular(found)
            # Between the two looks a folder on the way may have become a link to elsewhere.
            if os.path.realpath(real) != real or not os.path.samestat(found, os.lstat(real)):
                raise FetchFailure(FailureReason.REFERENCE_DENIED, "file: it was exchanged while it was opened")
            if found.st_size > max_bytes:
                raise FetchFailure(FailureReason.BODY_TOO_LARGE, f"file: {found.st_size} above {max_bytes} bytes")
            return read_capped(file.read, max_bytes, go_on)

    @staticmethod
    def _require_inside(path: str, folders: Iterable[str]) -> None:
        if not any(path.startswith(folder.rstrip("/") + "/") for folder in folders):
            raise FetchFailure(FailureReason.REFERENCE_DENIED, "file: not in a folder of `allow_folders`")


def path_of_file_url(text: str) -> str:
    """The path that a `file:` URL names. `?` and `#` are taken for parts of the name.

    Raises:
        FetchFailure: It names another machine, or no absolute path.

    Source: RFC 8089.
    """
    rest = text.partition(":")[2]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host.lower() not in ("", "localhost"):
            raise FetchFailure(FailureReason.INVALID_URL, "file: on another machine")
        rest = slash + path
    data = unquote_to_bytes(rest)
    if not data.startswith(b"/") or b"\0" in data:
        raise FetchFailure(FailureReason.INVALID_URL, "file: no absolute path")
    return os.fsdecode(data)


def read_capped(read: Callable[[int], bytes | None], max_bytes: int, go_on: Progress) -> bytes:
    """What `read` gives, block by block, up to its end.

    Raises:
        FetchFailure: More than `max_bytes` came, or nobody waits any longer.
    """
    blocks: list[bytes] = []
    missing = max_bytes + 1
    while missing > 0 and (block := read(min(_BLOCK_BYTES, missing))):
        blocks.append(block)
        missing -= len(block)
        if not go_on():
            raise FetchFailure(FailureReason.READ_TIMEOUT)
    if missing <= 0:
        raise FetchFailure(FailureReason.BODY_TOO_LARGE, f"above {max_bytes} bytes")
    return b"".join(blocks)


def _require_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
        raise FetchFailure(FailureReason.REFERENCE_DENIED, f"file: {what}")
