"""The orientation in a block of EXIF."""

from __future__ import annotations

import struct

_ORIENTATION_TAG = 0x0112
_SHORT = 3
_MAX_ENTRIES = 1000


def orientation(block: bytes) -> int:
    """EXIF's orientation, 1 to 8; 1 where there is none or it cannot be read.

    Args:
        block: A TIFF header and what follows it, with or without `Exif\\0\\0` before it.
    """
    block = block[6:] if block.startswith(b"Exif\0\0") else block
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return 1
    at = struct.unpack_from(order + "I", block, 4)[0]
    if at + 2 > len(block):
        return 1
    entries = min(struct.unpack_from(order + "H", block, at)[0], _MAX_ENTRIES, (len(block) - at - 2) // 12)
    for entry in range(entries):
        tag, kind, count, value = struct.unpack_from(order + "HHIH", block, at + 2 + 12 * entry)
        if tag == _ORIENTATION_TAG:
            return value if kind == _SHORT and count == 1 and 1 <= value <= 8 else 1
    return 1
