"""GIF as a file: its blocks and its trailer."""

from __future__ import annotations

from curation.images.failures import corrupt, too_many_frames, truncated
from curation.images.header import MAX_BLOCKS, MAX_FRAMES, ImageHeader

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B


def read_gif_header(body: bytes) -> ImageHeader:
    """The header of a GIF file.

    Raises:
        ImageFailure: It holds no picture, ends too early or has a block of no known kind.
    """
    if len(body) < 13:
        raise truncated("ends within the header")
    first, frames = _walk(body, 13 + _table_bytes(body[10]))
    if first is None:
        raise corrupt("no picture")
    left, top, across, down = (int.from_bytes(first[at : at + 2], "little") for at in range(0, 8, 2))
    # A frame may reach beyond the screen; decoders then make the screen larger.
    width = max(int.from_bytes(body[6:8], "little"), left + across)
    height = max(int.from_bytes(body[8:10], "little"), top + down)
    return ImageHeader("gif", width, height, frames=frames)


def _walk(body: bytes, at: int) -> tuple[bytes | None, int]:
    """Walks all blocks; returns place and size of the first frame, as stored, and how many frames there are."""
    first, frames = None, 0
    for _ in range(MAX_BLOCKS):
        if at >= len(body):
            raise truncated("no trailer")
        kind = body[at]
        if kind == _TRAILER:
            return first, frames
        if kind == _IMAGE and at + 10 <= len(body):
            first, frames = first or body[at + 1 : at + 9], frames + 1
            if frames > MAX_FRAMES:
                raise too_many_frames(MAX_FRAMES)
            at = _behind_sub_blocks(body, at + 11 + _table_bytes(body[at + 9]))
        elif kind == _EXTENSION:
            at = _behind_sub_blocks(body, at + 2)
        elif kind == 0:
            at += 1  # padding that some encoders leave
        elif kind == _IMAGE:
            raise truncated("ends within a frame")
        else:
            raise corrupt(f"block of kind {kind:02x}")
    raise corrupt(f"more than {MAX_BLOCKS} blocks")


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
