"""Files that are hashed and counted while they are written or read, so that nothing is read twice."""

from __future__ import annotations

import io
from hashlib import sha256
from typing import IO

from schemas.records import FileRecord


class HashingWriter(io.RawIOBase):
    """Passes bytes on to an open file. It can be written front to back alone, and leaves the file open.

    Attributes:
        kept: What was written since `keep`.
    """

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self._hash = sha256()
        self._size = 0
        self._keeps = False
        self.kept = bytearray()

    def keep(self) -> None:
        """From here on what is written is held, too."""
        self._keeps = True

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: object) -> int:
        """Writes all of the bytes."""
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        self._file.write(view)
        self._hash.update(view)
        self._size += len(view)
        if self._keeps:
            self.kept += view
        return len(view)

    def tell(self) -> int:
        """Bytes written so far."""
        return self._size

    def record(self, path: str, rows: int) -> FileRecord:
        """The record of the file, once it is written."""
        return FileRecord(path=path, rows=rows, size_bytes=self._size, sha256=self._hash.hexdigest())


class HashingReader(io.RawIOBase):
    """Reads an open file front to back."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self._hash = sha256()
        self._size = 0

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, all that is left where it is negative."""
        data = self._file.read(size)
        self._hash.update(data)
        self._size += len(data)
        return data

    def record(self, path: str, rows: int) -> FileRecord:
        """The record of the file. Reads what is left of it."""
        while self.read(1 << 20):
            pass
        return FileRecord(path=path, rows=rows, size_bytes=self._size, sha256=self._hash.hexdigest())
