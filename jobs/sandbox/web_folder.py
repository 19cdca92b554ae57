"""A sandbox web's folder, as those see it who do not build it."""

import json
from dataclasses import dataclass
from pathlib import Path

COMPLETE_NAME = "web.json"
"""Written last: a folder without it is unfinished."""


@dataclass(frozen=True, slots=True)
class SandboxWeb:
    """A web in a folder; every path can be read once `build_web` has returned it."""

    folder: Path
    pairs: int
    seed: int
    port: int
    hosts: tuple[str, ...]

    @property
    def pairs_path(self) -> Path:
        """The URL list, see `PAIRS_SCHEMA` in `jobs.sandbox.web`."""
        return self.folder / "pairs.parquet"

    @property
    def truth_path(self) -> Path:
        """The truth, see `TRUTH_SCHEMA` in `jobs.sandbox.web`."""
        return self.folder / "truth.parquet"

    @property
    def site_path(self) -> Path:
        """What the server answers, see `jobs.sandbox.site`."""
        return self.folder / "site"

    @property
    def request_log_path(self) -> Path:
        """The paths that were asked for, one a line, over all starts of the server."""
        return self.folder / "requests.log"


def open_web(folder: Path) -> SandboxWeb:
    """Returns the complete web in a folder.

    Raises:
        FileNotFoundError: if there is none, or an unfinished one.
    """
    complete = folder / COMPLETE_NAME
    if not complete.exists():
        raise FileNotFoundError(f"{folder} holds no complete sandbox web; build one with build_web")
    asked = json.loads(complete.read_text())
    return SandboxWeb(folder, asked["pairs"], asked["seed"], asked["port"], tuple(asked["hosts"]))
