"""A folder on local disk or in an object store: whole files in, whole files out, and put-if-absent."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from curation.errors import TransientError

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

    @property
    def fs(self) -> Any:
        """The fsspec file system, opened at first use."""
        if self._fs is None:
            self._fs, self._root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        return self._fs

    @property
    def is_local(self) -> bool:
        """Whether the files lie on a POSIX file system."""
        return isinstance(self.fs, LocalFileSystem)

    def child(self, folder: str) -> Store:
        """The store of a folder below this one."""
        return Store(f"{self.url}/{folder}")

    def locate(self, path: str) -> str:
        """The path as the file system knows it."""
        return f"{self._root or self._opened_root()}/{path}"

    def address(self, path: str) -> str:
        """The path as other libraries know it, which open it themselves."""
        return self.locate(path) if self.is_local else f"{self.url}/{path}"

    def _opened_root(self) -> str:
        _ = self.fs
        return self._root

    def read_bytes(self, path: str) -> bytes:
        """The content of a file. Raises FileNotFoundError."""
        return bytes(self.fs.cat_file(self.locate(path)))

    def read_many(self, paths: Sequence[str]) -> Sequence[bytes | None]:
        """The content of many small files, None for one that is not there; from an object store, many at a time."""
        if self.is_local:
            return [self._read_if_there(path) for path in paths]
        places = [self.locate(path) for path in paths]
        found = self.fs.cat(places, on_error="return") if places else {}
        return [_content(found[place]) for place in places]

    def _read_if_there(self, path: str) -> bytes | None:
        try:
            # fsspec would take several times as long, and commits are many.
            with open(self.locate(path), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def open_read(self, path: str) -> IO[bytes]:
        """The file, opened for reading at any place."""
        if self.is_local:
            return open(self.locate(path), "rb")
        return self.fs.open(self.locate(path), "rb")  # type: ignore[no-any-return]

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        return bool(self.fs.exists(self.locate(path)))

    def size(self, path: str) -> int:
        """Length of a file in bytes. Raises FileNotFoundError."""
        return int(self.fs.size(self.locate(path)))

    def modified(self, path: str) -> datetime:
        """When a file was written, in UTC. Raises FileNotFoundError."""
        return self.fs.modified(self.locate(path)).astimezone(UTC)  # type: ignore[no-any-return]

    def list(self, folder: str) -> list[str]:
        """Names of the entries directly in a folder, sorted; none where there is no such folder."""
        try:
            entries = self.fs.ls(self.locate(folder).rstrip("/"), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        names = (str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in entries)
        return sorted(name for name in names if not name.startswith(_UNFINISHED))

    def written_at(self, folder: str) -> dict[str, float]:
        """When each file directly in a folder was written, by name, in seconds since 1970; none where there is none."""
        if self.is_local:
            try:
                with os.scandir(self.locate(folder)) as entries:
                    times = {entry.name: entry.stat().st_mtime for entry in entries if entry.is_file()}
            except (FileNotFoundError, NotADirectoryError):
                return {}
        else:
            try:
                found = self.fs.ls(self.locate(folder).rstrip("/"), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return {}
            files = [entry for entry in found if entry["type"] == "file"]
            times = {entry["name"].rsplit("/", 1)[-1]: _written(entry) for entry in files}
        return {name: when for name, when in times.items() if name and not name.startswith(_UNFINISHED)}

    def delete(self, path: str) -> None:
        """Removes a file; none is no error."""
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(self.locate(path))

    def delete_folder(self, folder: str) -> None:
        """Removes a folder with all that is in it; none is no error."""
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm(self.locate(folder).rstrip("/"), recursive=True)

    def delete_unfinished(self) -> None:
        """Removes what writers that were killed have left half written. Only where nobody is writing.

        An object store shows no such files; it keeps what was uploaded in part until its own rules expire it.
        """
        if self.is_local:
            for folder, _, names in os.walk(self.locate("").rstrip("/")):
                for name in names:
                    if name.startswith(_UNFINISHED):
                        self.delete(os.path.relpath(f"{folder}/{name}", self.locate("")))

    @contextlib.contextmanager
    def open_write(self, path: str) -> Iterator[IO[bytes]]:
        """A file that appears whole, in place of any older one, when the block ends, and not at all if it raises."""
        if self.is_local:
            with self._open_write_local(path) as file:
                yield file
            return
        file = self.fs.open(self.locate(path), "wb")
        try:
            yield file
        except BaseException:
            file.discard()
            # Closing it, as the garbage collector would, must not upload what came so far.
            file.closed = True
            raise
        file.close()

    @contextlib.contextmanager
    def _open_write_local(self, path: str) -> Iterator[IO[bytes]]:
        target = self.locate(path)
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
            self.fs.pipe_file(self.locate(path), data)

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Puts a small file unless there is one of that name already; of several racers, exactly one gets True.

        Racers put different bytes: that is how one whose reply was lost, and who asked again, knows that it won.

        Raises:
            TransientError: The store did not say who won: ask again.
        """
        return self._link_if_absent(path, data) if self.is_local else self._put_conditionally(path, data)

    def _link_if_absent(self, path: str, data: bytes) -> bool:
        target = self.locate(path)
        temporary = self._temporary_beside(target)
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

    def _put_conditionally(self, path: str, data: bytes) -> bool:
        try:
            self.fs.pipe_file(self.locate(path), data, mode="create")
        except FileExistsError:
            return self.read_bytes(path) == data
        except OSError as error:
            if _is_precondition_failure(error):
                return self.read_bytes(path) == data
            raise TransientError(f"{self.locate(path)}: the conditional put failed: {error}") from error
        return True


def _written(entry: dict[str, Any]) -> float:
    """The time of an entry of a listing; each store calls it otherwise. 0 where it tells none."""
    for name in ("LastModified", "mtime", "last_modified", "updated", "created"):
        when = entry.get(name)
        if when is not None:
            return float(when.timestamp() if isinstance(when, datetime) else when)
    return 0.0


def _content(found: bytes | Exception) -> bytes | None:
    if isinstance(found, FileNotFoundError):
        return None
    if isinstance(found, Exception):
        raise found
    return found


def _is_precondition_failure(error: OSError) -> bool:
    """Whether the store said 412: s3fs maps a plain one to FileExistsError, Ceph's arrives as EINVAL with its cause."""
    cause = error.__cause__
    response = getattr(cause, "response", None)
    if not isinstance(response, dict):
        return False
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status == 412 and error.errno in (errno.EINVAL, errno.EIO, None)
