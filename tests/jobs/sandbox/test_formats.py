import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageOps

from jobs.sandbox import formats
from jobs.sandbox.draw import draw_scene
from jobs.sandbox.scene import make_scene

IMAGE = draw_scene(make_scene(5), 320, 240)


def _shown(body: bytes) -> NDArray[np.int64]:
    with Pictures.open(io.BytesIO(body)) as picture:
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB")).astype(int)


@pytest.mark.parametrize(
    ("encode", "name", "mode"),
    [
        (lambda: formats.jpeg(IMAGE, 90), "JPEG", "RGB"),
        (lambda: formats.jpeg_progressive(IMAGE, 90), "JPEG", "RGB"),
        (lambda: formats.jpeg_cmyk(IMAGE, 90), "JPEG", "CMYK"),
        (lambda: formats.png(IMAGE), "PNG", "RGB"),
        (lambda: formats.png_rgba(IMAGE), "PNG", "RGBA"),
        (lambda: formats.png_palette(IMAGE), "PNG", "P"),
        (lambda: formats.webp(IMAGE, 85), "WEBP", "RGB"),
        (lambda: formats.webp_lossless(IMAGE), "WEBP", "RGB"),
        (lambda: formats.avif(IMAGE, 85), "AVIF", "RGB"),
        (lambda: formats.gif_animated([IMAGE, IMAGE[:, ::-1]]), "GIF", "P"),
    ],
)
def test_file_shows_the_picture_when_decoded(encode: Callable[[], bytes], name: str, mode: str) -> None:
    body = encode()
    with Pictures.open(io.BytesIO(body)) as picture:
        assert (picture.format, picture.mode, picture.size) == (name, mode, (320, 240))
    assert np.abs(_shown(body) - IMAGE).mean() < 4


@pytest.mark.parametrize("orientation", formats.ORIENTATIONS)
def test_picture_is_upright_when_orientation_is_applied(orientation: int) -> None:
    body = formats.jpeg_rotated(IMAGE, 90, orientation)
    with Pictures.open(io.BytesIO(body)) as picture:
        assert picture.getexif()[0x0112] == orientation
        assert picture.size == ((240, 320) if orientation >= 5 else (320, 240))
        assert np.asarray(picture).shape != IMAGE.shape or np.abs(np.asarray(picture).astype(int) - IMAGE).mean() > 10
    assert np.abs(_shown(body) - IMAGE).mean() < 4


def test_error_is_raised_when_orientation_turns_nothing() -> None:
    with pytest.raises(ValueError, match="orientation 1"):
        formats.jpeg_rotated(IMAGE, 90, 1)


def test_png_header_states_16_bits_when_encoded_so() -> None:
    body = formats.png_sixteen_bit(IMAGE)
    assert body[24] == 16
    np.testing.assert_array_equal(_shown(body), IMAGE)


def test_gif_has_further_frames_when_animated() -> None:
    with Pictures.open(io.BytesIO(formats.gif_animated([IMAGE, IMAGE[::-1], IMAGE[:, ::-1]]))) as picture:
        assert picture.n_frames == 3


def test_jpeg_has_one_channel_when_gray() -> None:
    with Pictures.open(io.BytesIO(formats.jpeg_gray(IMAGE, 80))) as picture:
        assert picture.mode == "L"


def test_jpeg_is_progressive_when_asked() -> None:
    with Pictures.open(io.BytesIO(formats.jpeg_progressive(IMAGE, 80))) as picture:
        assert picture.info.get("progressive") == 1


def test_alpha_hides_only_corners_when_encoded() -> None:
    with Pictures.open(io.BytesIO(formats.png_rgba(IMAGE))) as picture:
        alpha = np.asarray(picture)[..., 3]
    assert alpha[0, 0] == 0
    assert (alpha[30:-30, 30:-30] == 255).all()
