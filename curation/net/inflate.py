"""Undoing a Content-Encoding piece by piece, with a cap on what comes out."""

from __future__ import annotations

import zlib

from curation.net.failures import FetchFailure
from schemas.outcomes import FailureReason

_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class BodyReader:
    """Collects a body whose length is capped before and after inflating.

    identity, gzip and deflate are understood; nothing but identity is ever asked for, so another
    encoding is a fault of the server's.
    """

    def __init__(self, encoding: str, max_bytes: int) -> None:
        """Raises FetchFailure for an encoding that is not understood."""
        self._encoding = encoding.strip().lower()
        if self._encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise FetchFailure(FailureReason.BAD_CONTENT_ENCODING, self._encoding[:100])
        self._plain = self._encoding in ("", "identity")
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._received = 0
        self._length = 0
        self._inflater: zlib._Decompress | None = None

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the response. Raises FetchFailure when the body grows too large or is damaged."""
        self._received += len(data)
        if self._received > self._max_bytes:
            raise self._too_large()
        if self._plain:
            self._pieces.append(data)
            return
        try:
            self._inflate(data)
        except zlib.error as error:
            raise FetchFailure(FailureReason.BAD_CONTENT_ENCODING, self._encoding) from error

    def finish(self) -> bytes:
        """The whole body. Raises FetchFailure if the compressed stream is not complete."""
        if self._inflater is not None and not self._inflater.eof:
            raise FetchFailure(FailureReason.TRUNCATED_BODY, self._encoding)
        return b"".join(self._pieces)

    def partial(self) -> bytes:
        """What has come so far."""
        return b"".join(self._pieces)

    def _inflate(self, data: bytes) -> None:
        while data:
            if self._inflater is None:
                self._inflater = zlib.decompressobj(self._window_of(data))
            # One byte more than may come tells a body at the cap from one above it.
            piece = self._inflater.decompress(data, self._max_bytes - self._length + 1)
            self._length += len(piece)
            if self._length > self._max_bytes:
                raise self._too_large()
            self._pieces.append(piece)
            data = self._inflater.unused_data
            if data:
                self._inflater = None  # gzip allows one member after another

    def _window_of(self, data: bytes) -> int:
        if self._encoding != "deflate":
            return _GZIP_WINDOW
        # "deflate" means zlib, but many servers send it without zlib's header.
        has_zlib_header = data[0] & 0x0F == 8 and data[0] >> 4 <= 7
        return zlib.MAX_WBITS if has_zlib_header else -zlib.MAX_WBITS

    def _too_large(self) -> FetchFailure:
        return FetchFailure(FailureReason.BODY_TOO_LARGE, f"more than {self._max_bytes} bytes")
