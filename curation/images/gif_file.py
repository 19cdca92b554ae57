"""GIF as a file: its blocks and its trailer."""

from __future__ import annotations

from curation.images.failures import corrupt, truncated
from curation.images.header import ImageHeader

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B


def read_gif_header(body: bytes) -> ImageHeader:
    """The header of a GIF file.

    Raises:
        ImageFailure: It holds no picture, ends too early or has a block of no known kind.
    """
    if len(body) < 13:
        raise truncated("ends within the header")
    width, height = int.from_bytes(body[6:8], "little"), int.from_bytes(body[8:10], "little")
    if not _count_frames(body, 13 + _table_bytes(body[10])):
        raise corrupt("no picture")
    if width == 0 or height == 0:
        raise corrupt(f"{width} x {height} pixels")
    return ImageHeader("gif", width, height)


def _count_frames(body: bytes, at: int) -> int:
    frames = 0
    while True:
        if at >= len(body):
            raise truncated("no trailer")
        kind = body[at]
        if kind == _TRAILER:
            return frames
        if kind == _IMAGE and at + 10 <= len(body):
            frames += 1
            at = _behind_sub_blocks(body, at + 11 + _table_bytes(body[at + 9]))
        elif kind == _EXTENSION:
            at = _behind_sub_blocks(body, at + 2)
        elif kind == 0:
            at += 1  # padding that some encoders leave
        elif kind == _IMAGE:
            raise truncated("ends within a frame")
        else:
            raise corrupt(f"block of kind {kind:02x}")


def _behind_sub_blocks(body: bytes, at: int) -> int:
    size = len(body)
    while at < size:
        length = body[at]
        at += 1 + length
        if length == 0:
            return at
    raise truncated("ends within a block")


def _table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
