import struct

import pytest

from curation.images.exif import orientation


def _block(order: str, tag: int = 0x0112, kind: int = 3, value: int = 6, entries: int = 1) -> bytes:
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(order + "HIHHHIHH", 42, 8, entries, tag, kind, 1, value, 0)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (_block("<"), 6),
        (_block(">"), 6),
        (b"Exif\0\0" + _block(">", value=8), 8),
        (_block("<", value=9), 1),
        (_block("<", value=0), 1),
        (_block("<", kind=4), 1),
        (_block("<", tag=0x0110), 1),
        (_block("<", entries=65_535), 6),
        (_block("<")[:20], 1),
        (b"II*\0\xff\xff\xff\xff", 1),
        (b"nonsense", 1),
        (b"", 1),
    ],
)
def test_orientation_is_read_when_it_makes_sense_and_is_upright_otherwise(block: bytes, expected: int):
    assert orientation(block) == expected
