"""Uploads to S3 while a file is written: by parts where it is large, with one PUT where it is small."""

from __future__ import annotations

import io
import logging
import uuid
from collections.abc import Callable, Sequence
from hashlib import md5
from typing import Any, Protocol, TypeVar

from curation.errors import CurationError, TransientError

logger = logging.getLogger(__name__)
T = TypeVar("T")

PART_BYTES = 32 << 20
"""Of an upload: 10,000 parts, which is what S3 takes, make 335 GB. Files below this size are one PUT."""


_MARK = "curation-upload"
"""Of an object's metadata: which upload it came from."""


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
        self._mark = uuid.uuid4().hex
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
            self._upload = str(self._call("create_multipart_upload", Metadata={_MARK: self._mark})["UploadId"])
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
            # Where another's file of the same bytes lies there, the upload may not be gone.
            self.abandon()
        self._fs.invalidate_cache()

    def _is_there(self) -> bool:
        """Whether what lies there is this upload, or one of the same parts.

        Its size would not tell: an older file may have the same. The mark tells in every store; the ETag, where a store
        makes it of the parts as S3 does, also of another writer's file with the same bytes.
        """
        try:
            found = self._call("head_object")
        except (FileNotFoundError, TransientError):
            return False
        if found["ContentLength"] != self._size:
            return False
        marked = dict(found.get("Metadata", {})).get(_MARK) == self._mark
        return marked or str(found["ETag"]).strip('"') == etag_of_parts([part["ETag"] for part in self._parts])

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


def etag_of_parts(etags: Sequence[str]) -> str | None:
    """What S3 calls a file that was uploaded by parts; None where it does not follow from those of the parts.

    Args:
        etags: Of the parts in their order. They are MD5 sums, but for files that are encrypted with keys of a service.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
    """
    try:
        sums = b"".join(bytes.fromhex(etag.strip('"')) for etag in etags)
    except ValueError:
        return None
    return f"{md5(sums, usedforsecurity=False).hexdigest()}-{len(etags)}"
