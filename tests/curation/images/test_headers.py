import random

import numpy as np
import pytest
import simplejpeg
from pictures import FORMATS, gradient, png_chunk, png_of_size, saved, with_orientation
from PIL import Image

from curation.images.failures import ImageFailure
from curation.images.headers import read_header
from schemas.outcomes import FailureReason as Reason

PICTURE = gradient(61, 37)


def _reason(body: bytes) -> Reason:
    with pytest.raises(ImageFailure) as failure:
        read_header(body)
    return failure.value.reason


@pytest.mark.parametrize("name", FORMATS)
def test_size_is_read_when_the_file_is_intact(name: str):
    header = read_header(saved(PICTURE, name))
    assert (header.format, header.width, header.height, header.orientation) == (name, 61, 37, 1)


@pytest.mark.parametrize("name", FORMATS)
def test_file_is_truncated_when_it_ends_early(name: str):
    body = saved(PICTURE, name)
    chance = random.Random(3)
    # A bitmap's and an uncompressed TIFF's header says nothing of their end: their pixels do.
    headers_only = name == "bmp"
    for _ in range(40):
        cut = body[: chance.randrange(20, 50 if headers_only else len(body))]
        assert _reason(cut) in (Reason.TRUNCATED_IMAGE, *((Reason.CORRUPT_IMAGE,) if headers_only else ()))


@pytest.mark.parametrize("name", ["jpg", "png", "webp", "tiff", "avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_size_is_turned_when_the_orientation_says_so(name: str, orientation: int):
    header = read_header(with_orientation(PICTURE, name, orientation))
    assert header.upright_size == ((37, 61) if orientation >= 5 else (61, 37))
    # Pillow turns TIFFs itself.
    assert header.orientation == (1 if name == "tiff" else orientation)


@pytest.mark.parametrize("name", ["jpg", "png", "webp", "gif"])
def test_trailing_bytes_are_ignored_when_the_image_is_whole(name: str):
    assert read_header(saved(PICTURE, name) + b"\0trailing" * 9).width == 61


def test_plain_is_rgb_of_eight_bits_without_more():
    layered = Image.fromarray(PICTURE).convert("RGBA")
    frames = [Image.fromarray(PICTURE), Image.fromarray(PICTURE[::-1])]
    plain = {
        "jpg": saved(PICTURE, "jpg"),
        "png": saved(PICTURE, "png"),
        "webp": saved(PICTURE, "webp"),
        "lossless": saved(PICTURE, "webp", lossless=True),
    }
    other = {
        "gray jpg": saved(PICTURE[..., 0], "jpg"),
        "cmyk": saved(Image.fromarray(PICTURE).convert("CMYK"), "jpg"),
        "turned": with_orientation(PICTURE, "jpg", 6),
        "rgba": saved(layered, "png"),
        "palette": saved(Image.fromarray(PICTURE).quantize(16), "png"),
        "transparent colour": saved(PICTURE, "png", transparency=(1, 2, 3)),
        "apng": saved(frames[0], "png", save_all=True, append_images=frames[1:]),
        "transparent webp": saved(Image.fromarray(np.dstack([PICTURE, PICTURE[..., 0]])), "webp"),
        "animated webp": saved(frames[0], "webp", save_all=True, append_images=frames[1:]),
        "gif": saved(PICTURE, "gif"),
    }
    assert {name for name, body in plain.items() if read_header(body).plain} == set(plain)
    assert {name for name, body in other.items() if read_header(body).plain} == set()


def test_png_is_corrupt_when_a_checksum_is_wrong():
    body = bytearray(saved(PICTURE, "png"))
    body[body.index(b"IDAT") + 9] ^= 1
    assert _reason(bytes(body)) is Reason.CORRUPT_IMAGE


def test_png_is_corrupt_when_it_has_no_pixels_or_a_senseless_header():
    signature, end = b"\x89PNG\r\n\x1a\n", png_chunk(b"IEND", b"")
    assert _reason(signature + end) is Reason.CORRUPT_IMAGE
    assert _reason(signature + png_chunk(b"IHDR", b"\0" * 13) + end) is Reason.CORRUPT_IMAGE


def test_size_of_a_bomb_is_read_when_its_pixels_are_not_there():
    assert read_header(png_of_size(30_000, 30_000)).pixels == 900_000_000


def test_jpeg_is_unsupported_when_its_frame_is_lossless_or_of_twelve_bits():
    body = bytearray(simplejpeg.encode_jpeg(PICTURE))
    frame = body.index(b"\xff\xc0")
    twelve_bits = bytes(body[: frame + 4]) + b"\x0c" + bytes(body[frame + 5 :])
    lossless = bytes(body[: frame + 1]) + b"\xc3" + bytes(body[frame + 2 :])
    assert (_reason(twelve_bits), _reason(lossless)) == (Reason.UNSUPPORTED_FORMAT, Reason.UNSUPPORTED_FORMAT)


def test_jpeg_is_truncated_when_only_its_thumbnail_has_an_end():
    thumbnail = simplejpeg.encode_jpeg(PICTURE[:8, :8])
    segment = b"\xff\xe1" + (len(thumbnail) + 8).to_bytes(2, "big") + b"Exif\0\0" + thumbnail
    body = simplejpeg.encode_jpeg(PICTURE)
    assert read_header(body[:2] + segment + body[2:]).width == 61
    assert _reason(body[:2] + segment + body[2:-2]) is Reason.TRUNCATED_IMAGE


def test_tiff_is_unsupported_when_white_has_no_value():
    floats = Image.fromarray(PICTURE[..., 0].astype(np.float32))
    assert _reason(saved(floats, "tiff")) is Reason.UNSUPPORTED_FORMAT


def test_gif_is_corrupt_when_a_block_is_of_no_known_kind():
    body = saved(PICTURE, "gif")
    assert _reason(body[:-1] + b"\x47" + body[-1:]) is Reason.CORRUPT_IMAGE


def test_gif_is_as_large_as_its_first_frame_when_that_leaves_the_screen():
    body = saved(PICTURE, "gif")
    header = read_header(body[:6] + b"\x05\0\x05\0" + body[10:])
    assert (header.width, header.height) == (61, 37)


@pytest.mark.parametrize("name", ["jpg", "png", "webp", "gif"])
def test_file_is_corrupt_when_it_has_no_width(name: str):
    body = bytearray(saved(PICTURE, name))
    if name == "png":
        body = bytearray(png_of_size(0, 5))
    elif name == "gif":
        frame = body.index(b"\x2c\0\0\0\0") + 5
        body[6:8] = body[frame : frame + 2] = b"\0\0"
    else:
        at = body.index(b"\xff\xc0") + 7 if name == "jpg" else body.index(b"\x9d\x01\x2a") + 3
        body[at : at + 2] = b"\0\0"
    assert _reason(bytes(body)) is Reason.CORRUPT_IMAGE


def test_tiff_is_corrupt_when_its_offsets_are_no_numbers():
    body = bytearray(saved(PICTURE, "tiff"))
    place = int.from_bytes(body[4:8], "little")
    for at in range(place + 2, len(body) - 12, 12):
        if int.from_bytes(body[at : at + 2], "little") == 273:
            body[at + 2] = 2  # the type of texts
    assert _reason(bytes(body)) is Reason.CORRUPT_IMAGE


def test_file_is_corrupt_when_its_width_is_more_than_any_format_allows():
    assert read_header(png_of_size(2**31 - 1, 5)).width == 2**31 - 1
    assert _reason(png_of_size(2**31, 5)) is Reason.CORRUPT_IMAGE


@pytest.mark.parametrize("name", ["gif", "png", "webp", "avif", "tiff"])
def test_frames_are_counted_when_there_are_several(name: str):
    frames = [Image.fromarray(np.roll(PICTURE, step, axis=1)) for step in range(4)]
    assert read_header(saved(frames[0], name)).frames == 1
    assert read_header(saved(frames[0], name, save_all=True, append_images=frames[1:])).frames == 4
