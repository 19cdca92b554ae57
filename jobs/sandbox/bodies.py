"""Makes the files that a sandbox web serves for its rows."""

from typing import NamedTuple

import cv2
import numpy as np

from jobs.sandbox import formats
from jobs.sandbox.alter import near_copy
from jobs.sandbox.broken_files import corrupt, pixel_bomb, truncated
from jobs.sandbox.draw import Image, draw_scene, size_of
from jobs.sandbox.pages import html_page
from jobs.sandbox.scene import make_scene
from jobs.sandbox.seeded import Draws
from jobs.sandbox.trouble import Trouble
from jobs.sandbox.web_plan import PlannedRow

BODILESS = frozenset(
    {
        *(Trouble.NOT_FOUND, Trouble.FORBIDDEN, Trouble.GONE, Trouble.RESET),
        *(Trouble.REDIRECT_LOOP, Trouble.REDIRECT_PRIVATE),
    }
)
"""Troubles whose answer never shows a picture."""

_SALT = 0xB0D1E5
_BANNER_RATIO = 20
# High enough that only the ratio is wrong with it.
_BANNER_HEIGHT_PX = 130


class Body(NamedTuple):
    """A file and the Content-Type that it is really of."""

    data: bytes
    content_type: str


def make_body(row: PlannedRow, web_seed: int) -> Body:
    """Makes the file for a row; the same for the same row and seed."""
    draws = Draws(_SALT, web_seed, row.row_seed)
    if row.trouble is Trouble.HTML_AS_JPEG:
        return Body(html_page("One more step"), "image/jpeg")
    if row.trouble is Trouble.BOMB:
        return Body(pixel_bomb(), "image/png")
    image = _image(row)
    if row.trouble is Trouble.ONE_PIXEL:
        return _one_pixel(image, draws)
    if row.trouble is Trouble.BANNER:
        return _typed(formats.jpeg(_banner(image), 85))
    if row.trouble is Trouble.TRUNCATED:
        return _typed(truncated(image, draws))
    if row.trouble is Trouble.CORRUPT:
        return _typed(corrupt(image, draws))
    if row.copy_kind.near:
        return _typed(near_copy(image, row.copy_kind, draws))
    return _typed(_encoded(row, image, draws))


def _image(row: PlannedRow) -> Image:
    scene = make_scene(row.scene_seed)
    return draw_scene(scene, *size_of(scene, row.long_side_px))


def _encoded(row: PlannedRow, image: Image, draws: Draws) -> bytes:
    quality = round(draws.between(80, 93))
    if row.format == "gif":
        other = draw_scene(make_scene(row.scene_seed + 1), image.shape[1], image.shape[0])
        return formats.gif_animated([image, other, image[:, ::-1]][: 2 + draws.below(2)])
    if row.format == "jpeg_rotated":
        return formats.jpeg_rotated(image, quality, draws.pick(formats.ORIENTATIONS))
    if row.format.startswith("png"):
        return _PNG[row.format](image)
    return _LOSSY[row.format](image, quality)


_PNG = {
    "png": formats.png,
    "png_rgba": formats.png_rgba,
    "png_palette": formats.png_palette,
    "png_sixteen_bit": formats.png_sixteen_bit,
}
_LOSSY = {
    "jpeg": formats.jpeg,
    "jpeg_progressive": formats.jpeg_progressive,
    "jpeg_cmyk": formats.jpeg_cmyk,
    "webp": formats.webp,
    "avif": formats.avif,
}


def _one_pixel(image: Image, draws: Draws) -> Body:
    pixel = np.ascontiguousarray(image[:1, :1])
    form = draws.below(3)
    if form == 0:
        return _typed(formats.gif_animated([pixel]))
    return _typed(formats.png(pixel) if form == 1 else formats.jpeg_gray(pixel, 80))


def _banner(image: Image) -> Image:
    strip = image[image.shape[0] // 3 : image.shape[0] // 2]
    size = (_BANNER_RATIO * _BANNER_HEIGHT_PX, _BANNER_HEIGHT_PX)
    return np.asarray(cv2.resize(strip, size, interpolation=cv2.INTER_LINEAR), np.uint8)


_MAGIC = (
    (b"\xff\xd8", "image/jpeg"),
    (b"\x89PNG", "image/png"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)


def _typed(data: bytes) -> Body:
    for magic, content_type in _MAGIC:
        if data.startswith(magic):
            return Body(data, content_type)
    return Body(data, "image/avif")
