"""Files of an object store: patience with it, uploads that appear whole or not at all, errors told apart."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import IO, Any, TypeVar, cast

import fsspec
from s3fs import S3FileSystem

from curation.errors import CorruptionError
from curation.storage.multipart import Upload
from curation.storage.store_failures import (
    STORE_ERRORS,
    TRIES,
    is_refused_condition,
    patiently,
    status_of,
    telling_apart,
    told_apart,
)

T = TypeVar("T")

READ_AHEAD_BYTES = 8 << 20
_S3_TRIES_ON_THE_WAY = 2
_CONNECTIONS = 32
"""Of one process; as many small files are read at a time."""
_MOST_KEYS = 1000
_NOTHING_IN_RANGE = 416


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What a listing tells of a file: its path below the folder that was listed, its size, and when it was written."""

    path: str
    size_bytes: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """A multipart upload that was begun and neither completed nor aborted. Its parts are stored, and paid for."""

    path: str
    upload: str
    begun: datetime


def open_file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL and the path in it. Listings are never cached.

    Clients of S3 repeat what failed by connection, 500, 503, SlowDown and the like, with growing and random pauses.
    What fsspec's own configuration (`FSSPEC_S3`) or AWS's variables say goes before.
    """
    options: dict[str, Any] = {"use_listings_cache": False}
    if url.startswith(("s3://", "s3a://")):
        options["config_kwargs"] = _s3_client_settings()
    fs, root = fsspec.core.url_to_fs(url, **options)
    if isinstance(fs, S3FileSystem):
        # It repeats what the client has given up on; both multiply.
        fs.retries = _S3_TRIES_ON_THE_WAY
    return fs, str(root)


def _s3_client_settings() -> dict[str, Any]:
    retries = {
        "mode": os.environ.get("AWS_RETRY_MODE", "standard"),
        "total_max_attempts": int(os.environ.get("AWS_MAX_ATTEMPTS", "6")),
    }
    settings = {"connect_timeout": 10, "read_timeout": 60, "max_pool_connections": _CONNECTIONS, "retries": retries}
    return {**settings, **fsspec.config.conf.get("s3", {}).get("config_kwargs", {})}


def require_inside(path: str, root: str) -> None:
    """Raises CorruptionError for a path that leads out of its folder: a record that somebody else made may name one."""
    if ".." in path.split("/") or path.startswith("/"):
        raise CorruptionError(f"{path}: leads out of {root}; the record that names it is not of this project")


class ObjectFiles:
    """The files below one root of an object store.

    Args:
        fs: The file system, as fsspec has it.
        root: Where all paths begin, as the file system knows it.
        tries: Of every operation, beside those that the client makes by itself.
    """

    def __init__(self, fs: Any, root: str, tries: int = TRIES) -> None:
        self._fs = fs
        self._root = root
        self._tries = tries

    def _place(self, path: str) -> str:
        require_inside(path, self._root)
        return f"{self._root}/{path}"

    def _ask(self, path: str, ask: Callable[[str], T]) -> T:
        place = self._place(path)

        def once() -> T:
            with telling_apart(place):
                return ask(place)

        return patiently(once, self._tries)

    def read_bytes(self, path: str) -> bytes:
        """The content of a file, in one request."""
        # More than one connection, and s3fs asks for the size first, which costs as much as the file does.
        alone = {"max_concurrency": 1} if isinstance(self._fs, S3FileSystem) else {}
        return bytes(self._ask(path, lambda place: self._fs.cat_file(place, **alone)))

    def read_many(self, paths: Sequence[str]) -> Sequence[bytes | None]:
        """The content of many small files, some at a time; None for one that is not there."""
        with ThreadPoolExecutor(_CONNECTIONS, "read-many") as threads:
            return list(threads.map(self._read_if_there, paths))

    def _read_if_there(self, path: str) -> bytes | None:
        try:
            return self.read_bytes(path)
        except FileNotFoundError:
            return None

    def open_read(self, path: str, *, in_pieces: bool = False, size_bytes: int | None = None) -> IO[bytes]:
        """The file, opened for reading at any place.

        Args:
            in_pieces: Each read is one request for just what it asks for: of some columns, nothing else is sent.
            size_bytes: Of a file that is read in pieces, where that is known: then the store is not asked for it.
                Whether there is such a file shows at the first read.
        """
        if in_pieces and size_bytes is not None:
            pieces = _Pieces(self._fs, self._place(path), size_bytes)
            return cast("IO[bytes]", _PatientReader(pieces, self._place(path), self._tries))
        how = {"cache_type": "none"} if in_pieces else {"block_size": READ_AHEAD_BYTES}
        opened = self._ask(path, lambda place: self._fs.open(place, "rb", **how))
        reader = _PatientReader(opened, self._place(path), self._tries)
        return cast("IO[bytes]", reader if in_pieces else io.BufferedReader(reader, READ_AHEAD_BYTES // 8))

    def exists(self, path: str) -> bool:
        """Whether there is such a file; of S3 one request asks."""
        try:
            return bool(self._ask(path, self._is_file))
        except FileNotFoundError:
            return False

    def _is_file(self, place: str) -> bool:
        if not isinstance(self._fs, S3FileSystem):
            return bool(self._fs.info(place)["type"] == "file")
        # s3fs would list what begins with the name of what is not there: it may be a folder.
        bucket, key, _ = self._fs.split_path(place)
        self._fs.call_s3("head_object", Bucket=bucket, Key=key)
        return True

    def size(self, path: str) -> int:
        """Length of a file in bytes."""
        return int(self._ask(path, self._fs.size))

    def modified(self, path: str) -> datetime:
        """When a file was written, in UTC."""
        found: datetime = self._ask(path, self._fs.modified)
        return found.astimezone(UTC)

    def list(self, folder: str) -> Sequence[str]:
        """Names of the entries directly in a folder; none where there is no such folder. All pages of it."""
        try:
            entries = self._ask(folder, lambda place: self._fs.ls(place.rstrip("/"), detail=False))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in entries]

    def files_below(self, folder: str) -> Sequence[StoredFile]:
        """Every file in a folder and in those below it, by path."""
        found = self._ask(folder, lambda place: self._fs.find(place.rstrip("/"), detail=True))
        start = len(self._place(folder).rstrip("/")) + 1
        return [
            StoredFile(str(name)[start:], int(info["size"] or 0), _written(info))
            for name, info in sorted(found.items())
            # Some programs put empty objects where they imagine a folder.
            if not str(name).endswith("/")
        ]

    def delete(self, path: str) -> None:
        """Removes a file; none is no error."""
        with contextlib.suppress(FileNotFoundError):
            self._ask(path, self._fs.rm_file)

    def delete_folder(self, folder: str) -> None:
        """Removes a folder with all that is in it; none is no error.

        File by file: s3fs is silent of those that S3 did not delete of many, and fsspec takes `[` and `*` for patterns.
        """
        found = self._ask(folder, lambda place: self._fs.find(place.rstrip("/")))
        start = len(self._place("").rstrip("/")) + 1
        with ThreadPoolExecutor(_CONNECTIONS, "delete") as threads:
            list(threads.map(self.delete, [str(name)[start:] for name in found]))

    @contextlib.contextmanager
    def open_write(self, path: str) -> Iterator[IO[bytes]]:
        """A file that appears whole when the block ends, and not at all if it raises.

        On S3 large ones are uploaded by parts while they are written, so that no more than a part is in memory.
        """
        if not isinstance(self._fs, S3FileSystem):
            with self._open_write_otherwise(self._place(path)) as file:
                yield file
            return
        upload = Upload(self._fs, path, self._ask)
        try:
            yield cast("IO[bytes]", upload)
            upload.finish()
        except BaseException:
            upload.abandon()
            raise

    @contextlib.contextmanager
    def _open_write_otherwise(self, place: str) -> Iterator[IO[bytes]]:
        file = self._fs.open(place, "wb")
        try:
            yield file
        except BaseException:
            file.discard()
            with contextlib.suppress(AttributeError):
                # Closing it, as the garbage collector would, must not upload what came so far.
                file.closed = True
            raise
        with telling_apart(place):
            file.close()

    def write_bytes(self, path: str, data: bytes) -> None:
        """Puts a whole small file in place of any older one."""
        self._ask(path, lambda place: self._fs.pipe_file(place, data))

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Puts a small file with one conditional PUT; see `Store.put_if_absent`."""
        place = self._place(path)
        return patiently(partial(self._put_once, place, path, data), self._tries)

    def _put_once(self, place: str, path: str, data: bytes) -> bool:
        try:
            self._fs.pipe_file(place, data, mode="create")
        except STORE_ERRORS as error:
            if is_refused_condition(error):
                # Whoever asked again because the reply was lost is refused by what it put itself.
                return self.read_bytes(path) == data
            if isinstance(error, FileNotFoundError):
                raise
            raise told_apart(error, f"{place}: the conditional put failed") from error
        return True

    def unfinished_uploads(self) -> Sequence[UnfinishedUpload]:
        """Multipart uploads below the root that nobody has completed; none where the store knows no such thing."""
        if not isinstance(self._fs, S3FileSystem):
            return []
        bucket, prefix, _ = self._fs.split_path(f"{self._root}/x")
        prefix = prefix[:-1]
        found = []
        markers: dict[str, str] = {}
        while True:
            page = self._ask("", partial(self._uploads_page, bucket, prefix, markers))
            for entry in page.get("Uploads", []):
                begun = entry["Initiated"].astimezone(UTC)
                found.append(UnfinishedUpload(entry["Key"][len(prefix) :], entry["UploadId"], begun))
            if not page.get("IsTruncated"):
                return found
            markers = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _uploads_page(self, bucket: str, prefix: str, markers: dict[str, str], place: str) -> dict[str, Any]:
        del place
        asked = {"Bucket": bucket, "Prefix": prefix, "MaxUploads": _MOST_KEYS, **markers}
        return dict(self._fs.call_s3("list_multipart_uploads", **asked))

    def abort_upload(self, unfinished: UnfinishedUpload) -> None:
        """Deletes the parts of an upload; one that has ended meanwhile is no error."""

        def abort(place: str) -> None:
            bucket, key, _ = self._fs.split_path(place)
            self._fs.abort_mpu(bucket, key, unfinished.upload)

        with contextlib.suppress(FileNotFoundError):
            self._ask(unfinished.path, abort)


def _written(info: dict[str, Any]) -> datetime:
    when = info.get("LastModified") or info.get("created") or info.get("mtime")
    if isinstance(when, datetime):
        return when.astimezone(UTC)
    return datetime.fromtimestamp(float(when or 0), UTC)


class _Pieces:
    """A file of known size, of which each read is one request. Where there is less of it, reads come short.

    fsspec's own files ask for what they are called, how long they are and when they changed before the first read.
    """

    def __init__(self, fs: Any, place: str, size_bytes: int) -> None:
        self._fs = fs
        self._path = place
        self._size = size_bytes
        self._at = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._at + size, self._size)
        if end <= self._at:
            return b""
        try:
            data = bytes(self._fs.cat_file(self._path, start=self._at, end=end))
        except STORE_ERRORS as error:
            if status_of(error) != _NOTHING_IN_RANGE:
                raise
            data = b""
        self._at += len(data)
        return data

    def close(self) -> None:
        """Holds nothing."""


class _PatientReader(io.RawIOBase):
    """A file of an object store whose every read is repeated while the store fails in passing."""

    def __init__(self, file: Any, place: str, tries: int) -> None:
        super().__init__()
        self._file = file
        self._place = place
        self._tries = tries

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to another place."""
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """The present place."""
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer as far as the file goes."""
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """All that is left of the file, in one request."""
        return self._read(-1)

    def _read(self, size: int) -> bytes:
        start = self._file.tell()

        def once() -> bytes:
            self._file.seek(start)
            with telling_apart(self._place):
                return bytes(self._file.read(size))

        return patiently(once, self._tries)

    def close(self) -> None:
        """Closes the file."""
        if not self.closed:
            self._file.close()
        super().close()
