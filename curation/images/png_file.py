"""PNG as a file: its chunks, their checksums and its end."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from curation.images import exif
from curation.images.failures import corrupt, too_many_frames, truncated
from curation.images.header import MAX_BLOCKS, MAX_FRAMES, ImageHeader

_SIGNATURE_BYTES = 8
_RGB = 2
_CHECKED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


@dataclass(slots=True)
class _Found:
    start: bytes | None = None
    orientation: int = 1
    transparent: bool = False
    frames: int = 0
    pixels: bool = False


def read_png_header(body: bytes) -> ImageHeader:
    """The header of a PNG file.

    Raises:
        ImageFailure: A chunk that pixels depend on is damaged, missing or cut off, or the last one is missing.
    """
    found = _walk(body)
    if found.start is None:
        raise corrupt("no IHDR")
    width, height = int.from_bytes(found.start[:4], "big"), int.from_bytes(found.start[4:8], "big")
    depth, colour = found.start[8], found.start[9]
    if colour not in _CHANNELS or depth not in (1, 2, 4, 8, 16):
        raise corrupt(f"{depth} bits, colour type {colour}")
    if not found.pixels:
        raise corrupt("no IDAT")
    plain = colour == _RGB and depth == 8 and not (found.transparent or found.frames) and found.orientation == 1
    return ImageHeader(
        "png",
        width,
        height,
        found.orientation,
        plain=plain,
        channels=_CHANNELS[colour],
        deep=depth == 16,
        frames=max(1, found.frames),
    )


def bare_png(body: bytes) -> bytes:
    """The file without what no pixel of its first picture depends on: texts, profiles, further frames.

    Metadata can be a bomb of its own, which its decoder would inflate, and some decoders refuse a
    picture for its metadata. Takes a file whose header was read.
    """
    view, at = memoryview(body), _SIGNATURE_BYTES
    kept = [view[:at]]
    while True:
        name, end = body[at + 4 : at + 8], at + 12 + int.from_bytes(body[at : at + 4], "big")
        if name in _CHECKED:
            kept.append(view[at:end])
        if name == b"IEND":
            return b"".join(kept)
        at = end


def _walk(body: bytes) -> _Found:
    found = _Found()
    view = memoryview(body)
    at = _SIGNATURE_BYTES
    for _ in range(MAX_BLOCKS):
        length, name = int.from_bytes(body[at : at + 4], "big"), body[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(body):
            raise truncated(f"ends within {name.decode('latin-1')!r}" if len(name) == 4 else "no IEND")
        if name in _CHECKED and zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(body[end - 4 : end], "big"):
            raise corrupt(f"checksum of {name.decode()}")
        if name == b"IEND":
            return found
        _note(found, name, view[at + 8 : end - 4])
        at = end
    raise corrupt(f"more than {MAX_BLOCKS} chunks")


def _note(found: _Found, name: bytes, data: memoryview) -> None:
    if name == b"IHDR":
        if len(data) != 13 or found.start is not None:
            raise corrupt("bad IHDR")
        found.start = bytes(data)
    elif name == b"IDAT":
        found.pixels = True
    elif name == b"tRNS":
        found.transparent = True
    elif name == b"acTL":
        found.frames = max(1, int.from_bytes(data[:4], "big"))
        if found.frames > MAX_FRAMES:
            raise too_many_frames(MAX_FRAMES)
    elif name == b"eXIf":
        found.orientation = exif.orientation(bytes(data))
