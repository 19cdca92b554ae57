import struct
import time
import zlib

import numpy as np
import pytest
from pictures import FORMATS, gradient, png_chunk, saved
from PIL import Image

from curation.images.delivery import Delivery, DeliverySettings, deliver
from curation.images.formats import SUPPORTED

PICTURE = gradient(60, 45)
GIF_TAIL = b";"


def _frames(number: int) -> list[Image.Image]:
    return [Image.fromarray(np.roll(PICTURE, step, axis=1)) for step in range(number)]


def _animated(name: str, number: int = 3) -> bytes:
    first, *others = _frames(number)
    return saved(first, name, save_all=True, append_images=others, duration=50)


def _long_gif(frames: int) -> bytes:
    """A GIF whose later frames are one pixel each, and eighteen bytes."""
    return saved(PICTURE, "gif")[:-1] + b"\x2c\0\0\0\0\1\0\1\0\0\x02\x02\x44\x01\0" * (frames - 1) + GIF_TAIL


def _long_png(frames: int) -> bytes:
    body = saved(PICTURE, "png")
    animation = png_chunk(b"acTL", struct.pack(">II", frames, 0))
    later = png_chunk(b"fcTL", bytes(26)) + png_chunk(b"fdAT", bytes(12))
    return body[:33] + animation + body[33:-12] + later * (frames - 1) + body[-12:]


def _long_webp(frames: int) -> bytes:
    body = _animated("webp", 2)
    at = body.index(b"ANMF", body.index(b"ANMF") + 4)
    chunks = body[12:at] + body[at:] * (frames - 1)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def _long_tiff(frames: int) -> bytes:
    """A TIFF with empty directories behind the one of its picture."""
    body = saved(PICTURE, "tiff")
    place = int.from_bytes(body[4:8], "little")
    at = place + 2 + 12 * int.from_bytes(body[place : place + 2], "little")
    begin = len(body)
    later = b"".join(struct.pack("<HI", 0, begin + 6 * number) for number in range(1, frames - 1)) + bytes(6)
    return body[:at] + struct.pack("<I", begin) + body[at + 4 :] + later


LONG = {"gif": _long_gif, "png": _long_png, "webp": _long_webp, "tiff": _long_tiff}


def _delivered(body: bytes, **settings: object) -> Delivery:
    return deliver(body, DeliverySettings(side_px=32, **settings))


def _reason(delivery: Delivery) -> tuple[str, str | None] | None:
    return None if delivery.refusal is None else (str(delivery.refusal.reason), delivery.refusal.detail)


@pytest.mark.parametrize("name", ["gif", "png", "webp", "avif"])
def test_an_animation_fails_when_it_is_longer_than_asked_for(name: str):
    body = _animated(name)
    assert _reason(_delivered(body, max_frames=2)) == ("too_many_frames", "3 > 2")
    assert _reason(_delivered(body, max_frames=3)) is None


def test_a_tiff_fails_when_it_has_more_pages_than_asked_for():
    assert _reason(_delivered(_animated("tiff"), max_frames=2)) == ("too_many_frames", "3 > 2")


@pytest.mark.parametrize("name", LONG)
def test_the_first_frame_is_delivered_when_there_are_thousands(name: str):
    assert _delivered(LONG[name](9000)).image == _delivered(LONG[name](2)).image


@pytest.mark.parametrize("name", LONG)
def test_a_file_costs_no_time_when_it_has_a_hundred_thousand_frames(name: str):
    body = LONG[name](100_000)
    begin = time.process_time()
    assert _reason(_delivered(body)) == ("too_many_frames", "more than 10000")
    assert time.process_time() - begin < 0.3


def test_a_picture_is_not_kept_from_delivery_when_its_metadata_are_bombs():
    body, zeros = saved(PICTURE, "png"), zlib.compress(bytes(200_000_000), 1)
    bombs = {
        "zTXt": b"Comment\0\0" + zeros,
        "iTXt": b"Comment\0\1\0\0\0" + zeros,
        "iCCP": b"profile\0\0" + zeros,
        "tEXt": b"Comment\0" + b"a" * 3_000_000,
    }
    for name, data in bombs.items():
        begin = time.process_time()
        bomb = _delivered(body[:33] + png_chunk(name.encode(), data) * 3 + body[33:])
        assert (bomb.refusal, bomb.image) == (None, _delivered(body).image)
        assert time.process_time() - begin < 0.3


def test_a_tiff_is_corrupt_when_its_tags_are_longer_than_the_file():
    picture = saved(PICTURE, "tiff")
    entries = [struct.pack("<HHII", 50_000 + number, 7, len(picture), 0) for number in range(300)]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    body = picture[:4] + struct.pack("<I", len(picture)) + picture[8:] + directory
    assert _reason(_delivered(body)) == ("corrupt_image", "tags longer than the file")


@pytest.mark.parametrize(
    ("start", "block", "what"),
    [
        (b"\xff\xd8\xff", b"\xff\xfe\0\2", "segments"),
        (b"GIF89a\1\0\1\0\0\0\0", b"\x21\xfe\0", "blocks"),
        (b"\x89PNG\r\n\x1a\n", png_chunk(b"tEXt", b""), "chunks"),
        (b"RIFF\0\0\0\1WEBP", b"XMP \0\0\0\0", "chunks"),
    ],
)
def test_a_file_costs_no_time_when_it_is_nothing_but_small_blocks(start: bytes, block: bytes, what: str):
    body = start + block * (20_000_000 // len(block))
    begin = time.process_time()
    assert _reason(_delivered(body)) == ("corrupt_image", f"more than 200000 {what}")
    assert time.process_time() - begin < 1.5


def test_a_jpeg_is_corrupt_when_it_has_thousands_of_scans():
    body = saved(PICTURE, "jpg", progressive=True)
    last = body.rindex(b"\xff\xda")
    assert _reason(_delivered(body[:last] + body[last:-2] * 1100 + body[-2:])) == (
        "corrupt_image",
        "more than 1000 scans",
    )


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_refused_when_it_is_not_among_those_asked_for(name: str):
    others = tuple(other for other in SUPPORTED if other != name)
    assert _reason(_delivered(saved(PICTURE, name), formats=others)) == (
        "unsupported_format",
        f"{name} is not among `formats`",
    )
    assert _reason(_delivered(saved(PICTURE, name), formats=(name,))) is None
