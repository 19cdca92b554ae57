"""The header of any supported image."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from curation.images.failures import corrupt
from curation.images.formats import image_format
from curation.images.gif_file import read_gif_header
from curation.images.header import ImageHeader
from curation.images.jpeg_file import read_jpeg_header
from curation.images.pillow_files import read_avif_header, read_bmp_header, read_tiff_header
from curation.images.png_file import read_png_header
from curation.images.webp_file import read_webp_header

_LONGEST_SIDE_PX = (1 << 31) - 1
"""Formats with larger numbers forbid them, and the columns hold no larger ones."""

_READERS: Mapping[str, Callable[[bytes], ImageHeader]] = {
    "jpg": read_jpeg_header,
    "png": read_png_header,
    "gif": read_gif_header,
    "webp": read_webp_header,
    "bmp": read_bmp_header,
    "tiff": read_tiff_header,
    "avif": read_avif_header,
}


def read_header(body: bytes) -> ImageHeader:
    """Reads an image's header, and looks whether the file is there to its end; decodes no pixels.

    Raises:
        ImageFailure: `not_an_image`, `unsupported_format`, `truncated_image` or `corrupt_image`.
    """
    header = _READERS[image_format(body)](body)
    if not (1 <= header.width <= _LONGEST_SIDE_PX and 1 <= header.height <= _LONGEST_SIDE_PX):
        raise corrupt(f"{header.width} x {header.height} pixels")
    return header
