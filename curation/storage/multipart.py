"""Uploads to S3 while a file is written: by parts where it is large, with one PUT where it is small."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from curation.errors import CurationError, TransientError

logger = logging.getLogger(__name__)
T = TypeVar("T")

PART_BYTES = 32 << 20
"""Of an upload: 10,000 parts, which is what S3 takes, make 335 GB. Files below this size are one PUT."""


class Ask(Protocol):
    """Asks a store until it answers; see `ObjectFiles`."""

    def __call__(self, path: str, ask: Callable[[str], T]) -> T:
        """Calls `ask` with the place of a path."""
        ...


class Upload(io.RawIOBase):
    """A file that is written front to back. Nobody sees it before `finish`, and no part of it is left by `abandon`.

    Args:
        fs: The file system of s3fs.
        path: Where the file goes, as `ask` knows it.
        ask: How the store is asked; parts are sent again one by one.
    """

    def __init__(self, fs: Any, path: str, ask: Ask) -> None:
        super().__init__()
        self._fs = fs
        self._path = path
        self._ask = ask
        self._waiting = bytearray()
        self._size = 0
        self._upload: str | None = None
        self._parts: list[dict[str, Any]] = []

    def writable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Bytes written so far."""
        return self._size

    def write(self, data: Any) -> int:
        """Writes all of the bytes."""
        view = memoryview(data).cast("B")
        self._waiting += view
        self._size += len(view)
        while len(self._waiting) >= PART_BYTES:
            part = bytes(memoryview(self._waiting)[:PART_BYTES])
            self._send(part)
            del self._waiting[:PART_BYTES]
        return len(view)

    def finish(self) -> None:
        """Makes the file appear."""
        rest = bytes(self._waiting)
        if self._upload is None:
            self._ask(self._path, lambda place: self._fs.pipe_file(place, rest))
        else:
            if rest:
                self._send(rest)
            self._complete()
        self._waiting.clear()

    def abandon(self) -> None:
        """Deletes what was sent. Where the store does not do so, `curation gc` will."""
        self._waiting.clear()
        if self._upload is None:
            return
        try:
            self._call("abort_multipart_upload", UploadId=self._upload)
        except FileNotFoundError:
            return
        except CurationError as error:
            # Why the writing failed matters more.
            logger.warning("an upload could not be aborted: %s", error)

    def _send(self, part: bytes) -> None:
        if self._upload is None:
            self._upload = str(self._call("create_multipart_upload")["UploadId"])
        number = len(self._parts) + 1
        sent = self._of_upload("upload_part", PartNumber=number, Body=part)
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})

    def _complete(self) -> None:
        try:
            self._of_upload("complete_multipart_upload", MultipartUpload={"Parts": self._parts})
        except TransientError:
            # The reply may have been lost: then the upload is gone because the file is there.
            if not self._is_there():
                raise
        self._fs.invalidate_cache()

    def _is_there(self) -> bool:
        try:
            return int(self._ask(self._path, self._fs.size)) == self._size
        except (FileNotFoundError, TransientError):
            return False

    def _of_upload(self, method: str, **values: Any) -> dict[str, Any]:
        try:
            return self._call(method, UploadId=self._upload, **values)
        except FileNotFoundError as error:
            raise TransientError(f"{self._path}: the store knows the upload no more: {error}") from error

    def _call(self, method: str, **values: Any) -> dict[str, Any]:
        def call(place: str) -> dict[str, Any]:
            bucket, key, _ = self._fs.split_path(place)
            return dict(self._fs.call_s3(method, Bucket=bucket, Key=key, **values))

        return self._ask(self._path, call)
