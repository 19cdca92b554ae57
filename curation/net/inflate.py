"""Undoing Content-Encoding piece by piece, with a cap on what comes out of every layer."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Protocol

import brotli

from curation.images.failures import ImageFailure
from curation.images.formats import image_format
from curation.net.failures import FetchFailure
from schemas.outcomes import FailureReason

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_PIECE_BYTES = 1 << 18
"""A layer hands on so much at a time, so that a bomb is noticed while it is still small."""
_MAX_LAYERS = 3
_FIRST_BYTES = 64
"""Enough for the signature of any image that is decoded, and for every decoder to notice what it cannot read."""
# A stream of nothing takes a few bytes and as long as any other to begin: kilobytes of them, inflated, are millions.
_MAX_STREAMS = 64
# What lies behind the end of a stream is copied; what is not taken at once, with every piece that comes out.
_INPUT_BYTES = 1 << 16
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
# What follows the end of a stream and does not begin like this is padding, which nobody reads.
_GZIP_START = b"\x1f"
_ZSTD_START = b"\x28"
# RFC 9659: a decoder of Content-Encoding: zstd need not support windows above 8 MiB.
_ZSTD_OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}
BROKEN = (zlib.error, brotli.error, zstd.ZstdError)


class _Layer(Protocol):
    """One encoding, undone in pieces of bounded size."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What comes out for the next bytes that go in."""

    @property
    def complete(self) -> bool:
        """Whether the compressed stream has come to its end; true too if none of it has come."""


class _Deflated:
    """gzip, member after member, and deflate with and without zlib's header."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._inflater: zlib._Decompress | None = None
        self._ended = 0

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._inflater is None:
                if self._ended and not (self._gzip and data.startswith(_GZIP_START)):
                    return
                _require_few(self._ended)
                self._inflater = zlib.decompressobj(_GZIP_WINDOW if self._gzip else _deflate_window(data))
            data = yield from self._inflate(self._inflater, data)

    def _inflate(self, inflater: zlib._Decompress, data: bytes) -> Generator[bytes, None, bytes]:
        """Yields what comes out until the member ends or its input does; returns what lies behind the member."""
        while True:
            piece = inflater.decompress(data, _PIECE_BYTES)
            yield piece
            if inflater.eof:
                self._inflater = None
                self._ended += 1
                return inflater.unused_data
            data = inflater.unconsumed_tail
            # A full piece may have left output behind though all input is consumed.
            if not data and len(piece) < _PIECE_BYTES:
                return b""

    @property
    def complete(self) -> bool:
        return self._inflater is None


class _Brotli:
    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()
        self._begun = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        self._begun = True
        if self._decompressor.is_finished():
            return
        yield self._decompressor.process(data, output_buffer_limit=_PIECE_BYTES)
        while not self._decompressor.can_accept_more_data() and not self._decompressor.is_finished():
            yield self._decompressor.process(b"", output_buffer_limit=_PIECE_BYTES)

    @property
    def complete(self) -> bool:
        return not self._begun or self._decompressor.is_finished()


class _Zstandard:
    """zstd, frame after frame."""

    def __init__(self) -> None:
        self._decompressor: zstd.ZstdDecompressor | None = None
        self._ended = 0

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._decompressor is None:
                if self._ended and not data.startswith(_ZSTD_START):
                    return
                _require_few(self._ended)
                self._decompressor = zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)
            decompressor = self._decompressor
            yield decompressor.decompress(data, _PIECE_BYTES)
            while not decompressor.eof and not decompressor.needs_input:
                yield decompressor.decompress(b"", _PIECE_BYTES)
            data = b""
            if decompressor.eof:
                data, self._decompressor = decompressor.unused_data, None
                self._ended += 1

    @property
    def complete(self) -> bool:
        return self._decompressor is None


class _NotUndone:
    """An encoding that no server has a reason to use for an image."""

    # It fails at the first byte.
    complete = True

    def pieces(self, data: bytes) -> Iterator[bytes]:
        raise zlib.error("not undone")


_LAYERS: dict[str, Callable[[], _Layer]] = {
    "gzip": partial(_Deflated, gzip=True),
    "x-gzip": partial(_Deflated, gzip=True),
    "deflate": partial(_Deflated, gzip=False),
    "br": _Brotli,
    "zstd": _Zstandard,
    **dict.fromkeys(("aes128gcm", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress"), _NotUndone),
    **dict.fromkeys(("bzip2", "x-bzip2", "lzma", "xz", "snappy", "lz4"), _NotUndone),
}
"""What undoes each encoding of IANA's registry (HTTP Content Coding Registry) but `identity`, and of common usage."""


class BodyReader:
    """Collects a body whose length is capped before and after inflating.

    gzip, deflate, br and zstd are undone, up to three of them one around the other. None of them is ever asked for,
    and headers lie: a name of no encoding (`aws-chunked`, `utf-8`, `image/jpeg` …) stands for none,
    and a body that begins like an image, as its encoding cannot, is kept as it came.
    """

    def __init__(self, encodings: str, max_bytes: int) -> None:
        """Takes the value of Content-Encoding. Raises FetchFailure if it lists too many encodings."""
        # Bytes that are no UTF-8 arrive as lone surrogates, which cannot be stored with the failure.
        self._encodings = encodings.encode("utf-8", "replace").decode().strip().lower()
        self._layers = _layers_of(self._encodings) if self._encodings else []
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._lengths = [0] * (len(self._layers) + 1)
        self._first: bytes | None = b"" if self._layers else None

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the response. Raises FetchFailure when the body grows too large or is damaged."""
        if self._first is None:
            self._inflate(data)
            return
        self._first += data
        if len(self._first) >= _FIRST_BYTES:
            self._begin(self._first)

    def finish(self) -> bytes:
        """The whole body. Raises FetchFailure if it is too large, damaged, or its compressed stream not complete."""
        if self._first:
            self._begin(self._first)
        if not all(layer.complete for layer in self._layers):
            raise FetchFailure(FailureReason.TRUNCATED_BODY, self._encodings[:100])
        return self.partial()

    def partial(self) -> bytes:
        """What has come so far."""
        return b"".join(self._pieces)

    def _begin(self, first: bytes) -> None:
        self._first = None
        start = first[:_FIRST_BYTES]
        if _begins_like_an_image(start) and not _may_begin(start, _layers_of(self._encodings)[0]):
            self._layers = []
            self._lengths = [0]
        self._inflate(first)

    def _inflate(self, data: bytes) -> None:
        try:
            self._pass_on(data, 0)
        except BROKEN as error:
            raise FetchFailure(FailureReason.BAD_CONTENT_ENCODING, self._encodings[:100]) from error

    def _pass_on(self, data: bytes, depth: int) -> None:
        self._lengths[depth] += len(data)
        if self._lengths[depth] > self._max_bytes:
            raise FetchFailure(FailureReason.BODY_TOO_LARGE, f"more than {self._max_bytes} bytes")
        if depth == len(self._layers):
            self._pieces.append(data)
            return
        for start in range(0, len(data), _INPUT_BYTES):
            for piece in self._layers[depth].pieces(data[start : start + _INPUT_BYTES]):
                self._pass_on(piece, depth + 1)


def _begins_like_an_image(start: bytes) -> bool:
    try:
        image_format(start)
    except ImageFailure:
        return False
    return True


def _may_begin(start: bytes, layer: _Layer) -> bool:
    """Whether a stream of a layer that has not begun may begin like this."""
    try:
        next(iter(layer.pieces(start)), None)
    except BROKEN:
        return False
    return True


def _layers_of(encodings: str) -> list[_Layer]:
    """What undoes them, the outermost first."""
    # The header lists the encodings in the order in which they were applied.
    names = [part.partition(";")[0].strip() for part in reversed(encodings.split(","))]
    makers = [_LAYERS[name] for name in names if name in _LAYERS]
    if len(makers) > _MAX_LAYERS:
        raise FetchFailure(FailureReason.BAD_CONTENT_ENCODING, f"{len(makers)} encodings")
    return [make() for make in makers]


def _require_few(streams: int) -> None:
    if streams >= _MAX_STREAMS:
        raise FetchFailure(FailureReason.BAD_CONTENT_ENCODING, f"more than {_MAX_STREAMS} streams in a row")


def _deflate_window(data: bytes) -> int:
    # "deflate" means zlib, but many servers send it without zlib's header.
    has_zlib_header = data[0] & 0x0F == 8 and data[0] >> 4 <= 7
    return zlib.MAX_WBITS if has_zlib_header else -zlib.MAX_WBITS
