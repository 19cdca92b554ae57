"""Tars of a folder on this machine or in an object store, and how webdataset opens them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from curation.errors import RecipeError
from curation.storage.store import Store

STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "hf")
"""Object stores that shards are read from. webdataset would run a command for these, and for much else."""
_NO_FILE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|-\Z")


def is_url(place: str | Path) -> bool:
    """Whether a place is an fsspec URL, such as `s3://bucket/folder`."""
    return "://" in str(place)


def tars_in(shards: str | Path | Sequence[str | Path]) -> list[str]:
    """The tars of a folder, sorted, or the one tar, or the given ones as they are; none where there are none.

    What lies in an object store is opened by the client that runs use: `open_by_webdataset` must know it.

    Raises:
        RecipeError: One is neither a file nor in an object store; nothing was run.
    """
    if not isinstance(shards, (str, Path)):
        found = [str(path) for path in shards]
    elif str(shards).partition("://")[0] in STORES:
        store = Store(str(shards))
        is_one = str(shards).endswith(".tar")
        found = [str(shards)] if is_one else [store.address(name) for name in store.list("") if name.endswith(".tar")]
    elif Path(shards).is_dir():
        found = sorted(str(path) for path in Path(shards).glob("*.tar"))
    else:
        found = [str(shards)] if Path(shards).is_file() else []
    for path in found:
        if _NO_FILE.match(path) and path.partition("://")[0] not in STORES:
            # webdataset runs `pipe:COMMAND` in a shell, fetches URLs by commands, and reads `-` from standard input.
            raise RecipeError(
                f"{path}: is no path of a file and lies in no object store, and nothing else is read; copy the shards"
            )
    open_by_webdataset(found)
    return found


def open_by_webdataset(shards: Sequence[str]) -> None:
    """Lets webdataset open the shards' schemes as runs do: by itself it would start another program for S3."""
    from webdataset.gopen import gopen_schemes

    for scheme in {shard.partition("://")[0] for shard in shards} & set(STORES):
        gopen_schemes[scheme] = _opened


def _opened(url: str, mode: str = "rb", bufsize: int = 8192, **more: Any) -> IO[bytes]:
    del mode, bufsize, more
    folder, _, name = url.rpartition("/")
    return Store(folder).open_read(name)
