"""PNG as a file: its chunks, their checksums and its end."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from curation.images import exif
from curation.images.failures import corrupt, truncated
from curation.images.header import ImageHeader

_SIGNATURE_BYTES = 8
_RGB = 2
_CHECKED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


@dataclass(slots=True)
class _Found:
    start: bytes | None = None
    orientation: int = 1
    transparent: bool = False
    animated: bool = False
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
    plain = colour == _RGB and depth == 8 and not (found.transparent or found.animated) and found.orientation == 1
    return ImageHeader(
        "png", width, height, found.orientation, plain=plain, channels=_CHANNELS[colour], deep=depth == 16
    )


def _walk(body: bytes) -> _Found:
    found = _Found()
    view = memoryview(body)
    at = _SIGNATURE_BYTES
    while True:
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
        found.animated = True
    elif name == b"eXIf":
        found.orientation = exif.orientation(bytes(data))
