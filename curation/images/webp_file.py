"""WebP as a file: its RIFF chunks and its end."""

from __future__ import annotations

from dataclasses import dataclass

from curation.images import exif
from curation.images.failures import corrupt, too_many_frames, truncated
from curation.images.header import MAX_BLOCKS, MAX_FRAMES, ImageHeader

_ANIMATED, _ALPHA = 0x02, 0x10


@dataclass(slots=True)
class _Found:
    size: tuple[int, int] | None = None
    orientation: int = 1
    transparent: bool = False
    animated: bool = False
    pixels: bool = False
    frames: int = 0


def read_webp_header(body: bytes) -> ImageHeader:
    """The header of a WebP file.

    Raises:
        ImageFailure: The file is shorter than it says, or its chunks make no sense.
    """
    if len(body) < 12 or 8 + int.from_bytes(body[4:8], "little") > len(body):
        raise truncated("shorter than its RIFF header says")
    found = _walk(body, 8 + int.from_bytes(body[4:8], "little"))
    if found.size is None or not found.pixels:
        raise corrupt("no picture")
    plain = not (found.transparent or found.animated) and found.orientation == 1
    return ImageHeader("webp", *found.size, found.orientation, plain=plain, frames=max(1, found.frames))


def _walk(body: bytes, end: int) -> _Found:
    found = _Found()
    at = 12
    for _ in range(MAX_BLOCKS):
        if at + 8 > end:
            return found
        name, length = body[at : at + 4], int.from_bytes(body[at + 4 : at + 8], "little")
        if at + 8 + length > end:
            raise truncated(f"ends within {name.decode('latin-1')!r}")
        _note(found, name, body[at + 8 : at + 8 + length])
        at += 8 + length + (length & 1)
    raise corrupt(f"more than {MAX_BLOCKS} chunks")


def _note(found: _Found, name: bytes, data: bytes) -> None:
    if name == b"VP8X" and len(data) >= 10:
        found.size = (1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little"))
        found.transparent |= bool(data[0] & _ALPHA)
        found.animated |= bool(data[0] & _ANIMATED)
    elif name == b"VP8 ":
        found.pixels = True
        if found.size is None:
            found.size = _lossy_size(data)
    elif name == b"VP8L":
        found.pixels = True
        size, transparent = _lossless_size(data)
        found.transparent |= transparent
        found.size = found.size or size
    elif name == b"ANMF":
        found.pixels = True
        found.frames += 1
        if found.frames > MAX_FRAMES:
            raise too_many_frames(MAX_FRAMES)
    elif name == b"ALPH":
        found.transparent = True
    elif name == b"EXIF":
        found.orientation = exif.orientation(data)


def _lossy_size(data: bytes) -> tuple[int, int]:
    if data[3:6] != b"\x9d\x01\x2a" or len(data) < 10:
        raise corrupt("bad VP8 frame")
    return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF


def _lossless_size(data: bytes) -> tuple[tuple[int, int], bool]:
    if data[:1] != b"\x2f" or len(data) < 5:
        raise corrupt("bad VP8L frame")
    bits = int.from_bytes(data[1:5], "little")
    return ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), bool(bits >> 28 & 1)
