"""JPEG as a file: its segments up to the first scan, and whether it is there to the end."""

from __future__ import annotations

import re
from dataclasses import dataclass

from curation.images import exif
from curation.images.failures import corrupt, truncated, unsupported
from curation.images.header import MAX_BLOCKS, ImageHeader

_SOS, _EOI, _APP1 = 0xDA, 0xD9, 0xE1
# Garbage before a marker, fill bytes and stuffed zeros are skipped as libjpeg does.
_MARKER = re.compile(rb"\xff([\x01-\xfe])")
_MAX_SCANS = 1000
"""Encoders write about ten, at most some dozens. Each costs a pass over the whole picture, however short it is."""
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xCA})
# Baseline, extended and progressive, with Huffman or arithmetic coding.
_DECODED_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})


@dataclass(slots=True)
class _Found:
    frame: tuple[int, bytes] | None = None
    orientation: int = 1
    scan_at: int = 0
    scan_channels: int = 0


def read_jpeg_header(body: bytes) -> ImageHeader:
    """The header of a JPEG file.

    Raises:
        ImageFailure: There is none, it makes no sense, or the file has no end-of-image marker.
    """
    found = _walk(body)
    if found.frame is None:
        raise corrupt("no frame before the first scan")
    marker, frame = found.frame
    if len(frame) < 6 or len(frame) < 6 + 3 * frame[5]:
        raise corrupt("short frame header")
    precision, channels = frame[0], frame[5]
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    if marker not in _DECODED_FRAMES or precision != 8 or channels not in (1, 3, 4):
        raise unsupported(f"jpg with frame {marker:02x}, {precision} bits, {channels} channels")
    if (marker in _PROGRESSIVE or found.scan_channels < channels) and body.count(b"\xff\xda") > _MAX_SCANS:
        raise corrupt(f"more than {_MAX_SCANS} scans")
    # Entropy-coded data never holds this marker, so behind the first scan's start it is the real one.
    if body.rfind(b"\xff\xd9", found.scan_at) < 0:
        raise truncated("no end-of-image marker")
    return ImageHeader(
        "jpg", width, height, found.orientation, plain=channels == 3 and found.orientation == 1, channels=channels
    )


def _walk(body: bytes) -> _Found:
    found = _Found()
    at = 2
    for _ in range(MAX_BLOCKS):
        at, marker = _next_marker(body, at)
        if marker in _STANDALONE:
            continue
        if marker == _EOI:
            raise corrupt("no scan")
        length = int.from_bytes(body[at : at + 2], "big")
        if at + 2 > len(body) or at + length > len(body):
            raise truncated("ends within the header")
        if length < 2:
            raise corrupt("bad segment length")
        if marker == _SOS:
            found.scan_at, found.scan_channels = at + length, int.from_bytes(body[at + 2 : at + 3], "big")
            return found
        _note(found, marker, body[at + 2 : at + length])
        at += length
    raise corrupt(f"more than {MAX_BLOCKS} segments")


def _next_marker(body: bytes, at: int) -> tuple[int, int]:
    """The place behind the next marker, and its second byte."""
    found = _MARKER.search(body, at)
    if found is None:
        raise truncated("ends within the header")
    return found.end(), found[1][0]


def _note(found: _Found, marker: int, segment: bytes) -> None:
    if marker in _FRAMES and found.frame is None:
        found.frame = (marker, segment)
    elif marker == _APP1 and found.orientation == 1 and segment.startswith(b"Exif\0\0"):
        found.orientation = exif.orientation(segment)
