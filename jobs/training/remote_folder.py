"""A training's folder in an object store: worked on in a local one, and brought up to date with each checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from curation.storage.store import Store

_CHECKPOINTS, _WHOLE = "checkpoints", "checkpoint.json"
_SINGLE = ("config.json", "metrics.jsonl")


class RemoteFolder:
    """The two folders.

    Args:
        url: Of the folder in the store.
        local: Where the training works.
    """

    def __init__(self, url: str, local: Path) -> None:
        self._store = Store(url)
        self.local = local

    def pull(self) -> None:
        """Fetches what an earlier training has left: its settings, its metrics and its newest whole checkpoint."""
        for name in _SINGLE:
            if self._store.exists(name):
                self._fetch(name)
        # Its last file says that all of it is there.
        whole = [name for name in self._checkpoints() if self._store.exists(f"{_CHECKPOINTS}/{name}/{_WHOLE}")]
        for name in whole[-1:]:
            folder = f"{_CHECKPOINTS}/{name}"
            for file in self._store.list(folder):
                self._fetch(f"{folder}/{file}")

    def push(self) -> None:
        """Stores what there is. A checkpoint is whole before older ones go."""
        present = sorted(path.name for path in (self.local / _CHECKPOINTS).glob("step-*"))
        for name in present:
            if not self._store.exists(f"{_CHECKPOINTS}/{name}/{_WHOLE}"):
                files = [path for path in (self.local / _CHECKPOINTS / name).iterdir() if path.name != _WHOLE]
                for path in [*sorted(files), self.local / _CHECKPOINTS / name / _WHOLE]:
                    self._send(path)
        singles = [self.local / name for name in _SINGLE if (self.local / name).is_file()]
        for path in [*singles, *sorted(path for path in (self.local / "model").rglob("*") if path.is_file())]:
            self._send(path)
        for name in self._checkpoints():
            if present and name not in present:
                self._store.delete_folder(f"{_CHECKPOINTS}/{name}")

    def _checkpoints(self) -> list[str]:
        return [name for name in self._store.list(_CHECKPOINTS) if name.startswith("step-")]

    def _fetch(self, path: str) -> None:
        target = self.local / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._store.open_read(path) as read, target.open("wb") as written:
            shutil.copyfileobj(read, written, 1 << 20)

    def _send(self, path: Path) -> None:
        with path.open("rb") as read, self._store.open_write(path.relative_to(self.local).as_posix()) as written:
            shutil.copyfileobj(read, written, 1 << 20)


@contextmanager
def remote_folder(url: str) -> Iterator[RemoteFolder]:
    """A local folder with what the one in the store holds; brought up to date there when the block ends well."""
    with TemporaryDirectory(prefix="training-") as local:
        folder = RemoteFolder(url, Path(local))
        folder.pull()
        yield folder
        folder.push()
