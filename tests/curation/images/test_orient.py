import numpy as np
import pytest
from pictures import gradient, with_orientation
from PIL import Image, ImageOps

from curation.images.headers import read_header
from curation.images.orient import upright
from curation.images.pixels import decode_pixels

PICTURE = gradient(7, 4)


@pytest.mark.parametrize(
    ("orientation", "corners"),
    # What the top left and the top right pixel of 1 2 / 3 4 become.
    [(1, (1, 2)), (2, (2, 1)), (3, (4, 3)), (4, (3, 4)), (5, (1, 3)), (6, (3, 1)), (7, (4, 2)), (8, (2, 4))],
)
def test_corners_are_where_exif_says(orientation: int, corners: tuple[int, int]):
    stored = np.array([[[1] * 3, [2] * 3], [[3] * 3, [4] * 3]], np.uint8)
    assert tuple(upright(stored, orientation)[0, :, 0]) == corners


@pytest.mark.parametrize("name", ["png", "tiff", "avif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_picture_is_the_one_that_pillow_shows_when_it_is_turned(name: str, orientation: int):
    body = with_orientation(PICTURE, name, orientation)
    header = read_header(body)
    shown = upright(decode_pixels(body, header), header.orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(PICTURE)
    picture.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(picture))
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).mean() < 9
