"""A folder on local disk or in an object store: whole files in, whole files out, and put-if-absent."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import IO, Any

from fsspec.implementations.local import LocalFileSystem

from curation.storage.object_files import ObjectFiles, StoredFile, UnfinishedUpload, open_file_system, require_inside
from curation.storage.store_failures import naming_full_disks

_UNFINISHED = ".writing-"
"""How files are called while they are written."""


class Store:
    """Files below one root. Paths are relative, with `/`; nobody sees a file that is half written.

    Opening one does no I/O, and it can be pickled.

    Attributes:
        url: The root as fsspec knows it, such as `/data/run` or `s3://bucket/run`.
    """

    def __init__(self, url: str) -> None:
        if "://" not in url:
            url = os.path.abspath(url)
        self.url = url.rstrip("/")
        self._fs: Any = None
        self._root = ""

    def __getstate__(self) -> dict[str, str]:
        return {"url": self.url}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.url = state["url"]
        self._fs = None
        self._root = ""

    @property
    def fs(self) -> Any:
        """The fsspec file system, opened at first use."""
        if self._fs is None:
            self._fs, self._root = open_file_system(self.url)
        return self._fs

    @property
    def _objects(self) -> ObjectFiles:
        return ObjectFiles(self.fs, self._root)

    @property
    def is_local(self) -> bool:
        """Whether the files lie on a POSIX file system."""
        return isinstance(self.fs, LocalFileSystem)

    def child(self, folder: str) -> Store:
        """The store of a folder below this one. Raises CorruptionError for one that is not below it."""
        require_inside(folder, self.url)
        return Store(f"{self.url}/{folder}")

    def locate(self, path: str) -> str:
        """The path as the file system knows it.

        Raises:
            CorruptionError: It leads out of the folder; a record that somebody else made may name such a path.
        """
        require_inside(path, self.url)
        return f"{self._root or self._opened_root()}/{path}"

    def address(self, path: str) -> str:
        """The path as other libraries know it, which open it themselves."""
        return self.locate(path) if self.is_local else f"{self.url}/{path}"

    def _opened_root(self) -> str:
        _ = self.fs
        return self._root

    def read_bytes(self, path: str) -> bytes:
        """The content of a file. Raises FileNotFoundError."""
        if self.is_local:
            return bytes(self.fs.cat_file(self.locate(path)))
        return self._objects.read_bytes(path)

    def read_many(self, paths: Sequence[str]) -> Sequence[bytes | None]:
        """The content of many small files, None for one that is not there; from an object store, many at a time."""
        if self.is_local:
            return [self._read_if_there(path) for path in paths]
        return self._objects.read_many(paths)

    def _read_if_there(self, path: str) -> bytes | None:
        try:
            # fsspec would take several times as long, and commits are many.
            with open(self.locate(path), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def open_read(self, path: str, *, in_pieces: bool = False, size_bytes: int | None = None) -> IO[bytes]:
        """The file, opened for reading at any place.

        Args:
            in_pieces: It is read here and there, not front to back: an object store sends just what is asked for.
            size_bytes: Of a file that is read in pieces, where that is known: an object store is then not asked for it.
        """
        if self.is_local:
            return open(self.locate(path), "rb")
        return self._objects.open_read(path, in_pieces=in_pieces, size_bytes=size_bytes)

    def exists(self, path: str) -> bool:
        """Whether there is such a file; a folder is none."""
        return os.path.isfile(self.locate(path)) if self.is_local else self._objects.exists(path)

    def size(self, path: str) -> int:
        """Length of a file in bytes. Raises FileNotFoundError."""
        return os.stat(self.locate(path)).st_size if self.is_local else self._objects.size(path)

    def modified(self, path: str) -> datetime:
        """When a file was written, in UTC. Raises FileNotFoundError."""
        if self.is_local:
            return datetime.fromtimestamp(os.stat(self.locate(path)).st_mtime, UTC)
        return self._objects.modified(path)

    def now(self) -> datetime:
        """The time, in UTC, by the clock that dates files: of whatever machine keeps them, which may not be this one.

        Writes a file that is empty, looks at it and removes it.
        """
        path = f"probe-{uuid.uuid4().hex}"
        self.write_bytes(path, b"")
        try:
            return self.modified(path)
        finally:
            self.delete(path)

    def list(self, folder: str) -> list[str]:
        """Names of the entries directly in a folder, sorted; none where there is no such folder."""
        try:
            names = os.listdir(self.locate(folder)) if self.is_local else self._objects.list(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in names if not name.startswith(_UNFINISHED))

    def written_at(self, folder: str) -> dict[str, float]:
        """When each file directly in a folder was written, by name, in seconds since 1970; none where there is none."""
        if not self.is_local:
            found = ((file.path, file.modified.timestamp()) for file in self._objects.files_below(folder))
            return {path: when for path, when in found if "/" not in path}
        try:
            with os.scandir(self.locate(folder)) as entries:
                times = {entry.name: entry.stat().st_mtime for entry in entries if entry.is_file()}
        except (FileNotFoundError, NotADirectoryError):
            return {}
        return {name: when for name, when in times.items() if not name.startswith(_UNFINISHED)}

    def files_below(self, folder: str = "") -> Sequence[StoredFile]:
        """Every file in a folder and in those below it, by path; those that are being written, too."""
        if not self.is_local:
            return self._objects.files_below(folder)
        root = self.locate(folder).rstrip("/")
        found = []
        for place, _, names in os.walk(root):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    status = os.stat(f"{place}/{name}", follow_symlinks=False)
                    changed = datetime.fromtimestamp(status.st_mtime, UTC)
                    found.append(StoredFile(os.path.relpath(f"{place}/{name}", root), status.st_size, changed))
        return sorted(found, key=lambda file: file.path)

    def delete(self, path: str) -> None:
        """Removes a file; none is no error."""
        if not self.is_local:
            self._objects.delete(path)
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.locate(path))

    def delete_folder(self, folder: str) -> None:
        """Removes a folder with all that is in it; none is no error."""
        if not self.is_local:
            self._objects.delete_folder(folder)
            return
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm(self.locate(folder).rstrip("/"), recursive=True)

    def delete_unfinished(self) -> None:
        """Removes what writers that were killed have left half written or uploaded. Only where nobody is writing."""
        if not self.is_local:
            for unfinished in self.unfinished_uploads():
                self.abort_upload(unfinished)
            return
        for file in self.files_below():
            if is_unfinished(file.path):
                self.delete(file.path)

    def unfinished_uploads(self) -> Sequence[UnfinishedUpload]:
        """Uploads by parts that were neither completed nor aborted; none on a disk."""
        return [] if self.is_local else self._objects.unfinished_uploads()

    def abort_upload(self, unfinished: UnfinishedUpload) -> None:
        """Deletes the parts of an upload that `unfinished_uploads` told of."""
        self._objects.abort_upload(unfinished)

    @contextlib.contextmanager
    def open_write(self, path: str) -> Iterator[IO[bytes]]:
        """A file that appears whole, in place of any older one, when the block ends, and not at all if it raises."""
        if self.is_local:
            with self._open_write_local(path) as file:
                yield file
            return
        with self._objects.open_write(path) as file:
            yield file

    @contextlib.contextmanager
    def _open_write_local(self, path: str) -> Iterator[IO[bytes]]:
        target = self.locate(path)
        with naming_full_disks(target):
            temporary = self._temporary_beside(target)
            try:
                with open(temporary, "xb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, target)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)
                raise

    def _temporary_beside(self, target: str) -> str:
        folder, name = os.path.split(target)
        os.makedirs(folder, exist_ok=True)
        return f"{folder}/{_UNFINISHED}{uuid.uuid4().hex}-{name}"

    def write_bytes(self, path: str, data: bytes) -> None:
        """Puts a whole small file in place of any older one."""
        if self.is_local:
            with self._open_write_local(path) as file:
                file.write(data)
        else:
            self._objects.write_bytes(path, data)

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Puts a small file unless there is one of that name already; of racers with different bytes, one gets True.

        An object store that is asked again, because its reply was lost, refuses what it took before; so whoever finds
        its own bytes there has won. Where racers put the same bytes, each of them is therefore told True by an object
        store, and one alone on a disk: the answer then tells no more than what the file holds.

        Raises:
            TransientError: The store did not say who won: ask again.
        """
        return self._link_if_absent(path, data) if self.is_local else self._objects.put_if_absent(path, data)

    def _link_if_absent(self, path: str, data: bytes) -> bool:
        target = self.locate(path)
        with naming_full_disks(target):
            return self._link_once(self._temporary_beside(target), target, data)

    def _link_once(self, temporary: str, target: str, data: bytes) -> bool:
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            # link() fails if the name exists, which rename() does not: it is the POSIX put-if-absent.
            os.link(temporary, target)
        except FileExistsError:
            # NFS asks again when a reply is lost, and is then told of the link that it made itself.
            return os.stat(temporary).st_nlink > 1
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        return True


def is_unfinished(path: str) -> bool:
    """Whether a file is called as those are that a writer has not finished, on a disk."""
    return path.rpartition("/")[2].startswith(_UNFINISHED)
