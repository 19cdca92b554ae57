"""A folder that is read and never written: what is written comes to lie in another folder, and is read from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any

from curation.storage.store import Store


class ForkedStore(Store):
    """The files of one folder, and over them those that were written since the fork.

    Args:
        url: The folder that stays as it is.
        written: Where files are written. They hide those of the same name.
    """

    def __init__(self, url: str, written: Store) -> None:
        super().__init__(url)
        self._written = written
        self._below = Store(url)

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "written": self._written}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["url"], state["written"])  # type: ignore[misc]

    def _holder(self, path: str) -> Store:
        return self._written if self._written.exists(path) else self._below

    def child(self, folder: str) -> Store:
        """The fork of a folder below this one."""
        return ForkedStore(f"{self.url}/{folder}", self._written.child(folder))

    def locate(self, path: str) -> str:
        """The path of whichever file counts."""
        return self._written.locate(path) if self._written.exists(path) else super().locate(path)

    def address(self, path: str) -> str:
        """The path of whichever file counts, as other libraries know it."""
        return self._holder(path).address(path)

    def read_bytes(self, path: str) -> bytes:
        """The content of a file. Raises FileNotFoundError."""
        return self._holder(path).read_bytes(path)

    def read_many(self, paths: Sequence[str]) -> Sequence[bytes | None]:
        """The content of many small files, None for one that is not there."""
        above = self._written.read_many(paths)
        missing = [path for path, content in zip(paths, above, strict=True) if content is None]
        below = dict(zip(missing, self._below.read_many(missing), strict=True))
        return [below[path] if content is None else content for path, content in zip(paths, above, strict=True)]

    def open_read(self, path: str, *, in_pieces: bool = False, size_bytes: int | None = None) -> IO[bytes]:
        """The file, opened for reading at any place."""
        return self._holder(path).open_read(path, in_pieces=in_pieces, size_bytes=size_bytes)

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        return self._holder(path).exists(path)

    def size(self, path: str) -> int:
        """Length of a file in bytes. Raises FileNotFoundError."""
        return self._holder(path).size(path)

    def modified(self, path: str) -> datetime:
        """When a file was written, in UTC. Raises FileNotFoundError."""
        return self._holder(path).modified(path)

    def list(self, folder: str) -> list[str]:
        """Names of the entries directly in a folder, sorted."""
        return sorted({*self._below.list(folder), *self._written.list(folder)})

    def delete(self, path: str) -> None:
        """Removes a file that was written since the fork."""
        self._written.delete(path)

    def delete_folder(self, folder: str) -> None:
        """Removes what was written to a folder since the fork."""
        self._written.delete_folder(folder)

    @contextmanager
    def open_write(self, path: str) -> Iterator[IO[bytes]]:
        """A file of the fork that appears whole, and not at all if the block raises."""
        with self._written.open_write(path) as file:
            yield file

    def write_bytes(self, path: str, data: bytes) -> None:
        """Puts a whole small file into the fork."""
        self._written.write_bytes(path, data)

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Puts a small file into the fork unless it has one of that name."""
        return self._written.put_if_absent(path, data)
