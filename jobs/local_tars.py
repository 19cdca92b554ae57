"""Tars that are read by webdataset: files of this machine alone."""

from __future__ import annotations

import re
from collections.abc import Iterable

from curation.errors import RecipeError

_NO_FILE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|-\Z")


def require_files(paths: Iterable[str]) -> list[str]:
    """The paths, each of a file.

    webdataset runs `pipe:COMMAND` in a shell, fetches URLs by commands as well, and reads `-` from standard input.

    Raises:
        RecipeError: One is none; nothing was run.
    """
    found = list(paths)
    for path in found:
        if _NO_FILE.match(path):
            raise RecipeError(
                f"{path}: is no path of a file, and nothing else is read; copy the shards to this machine"
            )
    return found
