import io
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image as Pictures

from jobs.sandbox.broken_files import BOMB_SIDE_PX, corrupt, pixel_bomb, truncated
from jobs.sandbox.draw import draw_scene
from jobs.sandbox.scene import make_scene
from jobs.sandbox.seeded import Draws

IMAGE = draw_scene(make_scene(5), 160, 120)
MAGICS = {b"\xff\xd8", b"\x89P", b"RI"}


@pytest.mark.parametrize("damage", [truncated, corrupt])
def test_no_decoder_accepts_the_file_when_broken(damage: object) -> None:
    seen = set()
    for seed in range(60):
        body = damage(IMAGE, Draws(seed))
        seen.add(body[:2])
        with pytest.raises(OSError), Pictures.open(io.BytesIO(body)) as picture:  # noqa: PT011
            picture.load()
        assert cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR) is None
    assert seen == MAGICS


def test_header_still_states_the_size_when_corrupt() -> None:
    for seed in range(30):
        with Pictures.open(io.BytesIO(corrupt(IMAGE, Draws(seed)))) as picture:
            assert picture.size == (160, 120)


def test_bomb_is_small_and_valid_when_inflated_bit_by_bit() -> None:
    body = pixel_bomb()
    assert len(body) < 200_000
    assert int.from_bytes(body[16:20], "big") == int.from_bytes(body[20:24], "big") == BOMB_SIDE_PX
    assert zlib.crc32(body[12:29]) == int.from_bytes(body[29:33], "big")
    length = int.from_bytes(body[33:37], "big")
    inflater = zlib.decompressobj()
    pending, total = body[41 : 41 + length], 0
    while pending and not inflater.eof:
        total += len(inflater.decompress(pending, 1 << 22))
        pending = inflater.unconsumed_tail
    assert inflater.eof
    assert total == BOMB_SIDE_PX * (1 + BOMB_SIDE_PX // 8)
