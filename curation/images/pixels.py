"""From the bytes of an image to its pixels: 8-bit RGB, upright, whatever was stored."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import cast

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from curation.images.failures import ImageFailure, corrupt, truncated
from curation.images.header import ImageHeader
from curation.images.pillow_files import load_picture, open_picture
from curation.images.png_file import bare_png

Pixels = NDArray[np.uint8]
"""(h, w, 3) uint8, RGB; or (h, w, 4), whose last channel has no meaning, and which resizing need not copy."""

_16_TO_8 = 1.0 / 257.0
_BAND_PIXELS = 1 << 18
_FAST_EIGHTHS = (1, 2, 4)
# Oddities of encoders that libjpeg remarks on and that change no pixel.
_HARMLESS = ("Invalid SOS parameters", "unknown JFIF revision", "Unknown Adobe color transform")


def decode_pixels(
    body: bytes, header: ImageHeader, least_size: tuple[int, int] | None = None, *, spare_channel: bool = False
) -> Pixels:
    """Decodes an image as it is stored: its orientation is not yet applied.

    Transparency is composited on white, of an animation the first frame is taken, 16 bits are
    scaled to 8, CMYK is converted without a profile, and colour profiles are ignored.

    Args:
        body: The file.
        header: Its header.
        least_size: Width and height that suffice: a JPEG is decoded at an eighth, a quarter or a half of
            its size if that is not below, which costs a fraction of the time.
        spare_channel: Four channels may be returned.

    Raises:
        ImageFailure: The file is truncated or damaged.
    """
    if header.format == "jpg":
        return _decode_jpeg(body, header, least_size, "RGBX" if spare_channel else "RGB")
    pixels = _decode_deep_png(body) if header.format == "png" and header.deep else _decode_with_pillow(body, header)
    if pixels.shape[:2] != (header.height, header.width):
        raise corrupt("the pixels are not as many as the header says")
    return pixels


def _decode_jpeg(body: bytes, header: ImageHeader, least_size: tuple[int, int] | None, colours: str) -> Pixels:
    least_width, least_height = _fast_size(header, least_size) if least_size else (0, 0)
    colours = "CMYK" if header.channels == 4 else colours
    pixels = _run_jpeg_decoder(body, colours, least_width, least_height)
    return _rgb_of_cmyk(pixels) if header.channels == 4 else pixels


def _fast_size(header: ImageHeader, least_size: tuple[int, int]) -> tuple[int, int]:
    """The smallest size that suffices among those that libjpeg-turbo has vector code for.

    It scales by any eighth, but only these of its inverse DCTs are vectorised: 5/8 takes longer than 8/8.
    """
    for eighths in _FAST_EIGHTHS:
        size = ceil(header.width * eighths / 8), ceil(header.height * eighths / 8)
        if size[0] >= least_size[0] and size[1] >= least_size[1]:
            return size
    return 0, 0


def _run_jpeg_decoder(body: bytes, colours: str, least_width: int, least_height: int) -> Pixels:
    # libjpeg's "fancy" upsampling of colours costs 3 % and gains nothing that survives resizing.
    fast = least_width > 0
    options = {"colorspace": colours, "min_width": least_width, "min_height": least_height, "fastupsample": fast}
    try:
        return cast(Pixels, simplejpeg.decode_jpeg(body, **options))
    except ValueError as error:
        if not any(remark in str(error) for remark in _HARMLESS):
            raise _jpeg_failure(error) from error
    try:
        return cast(Pixels, simplejpeg.decode_jpeg(body, strict=False, **options))
    except ValueError as error:
        raise _jpeg_failure(error) from error


def _jpeg_failure(error: ValueError) -> ImageFailure:
    message = str(error)[:200]
    if "memory" in message.lower():
        raise MemoryError from error
    return truncated(message) if "Premature end of JPEG file" in message else corrupt(message)


def _rgb_of_cmyk(inks: Pixels) -> Pixels:
    """RGB of CMYK as JPEG files have it: inverted, by Adobe's convention, so that 255 is no ink."""
    colours = np.empty((*inks.shape[:2], 3), np.uint8)
    for rows in _bands(inks):
        colours[rows] = (inks[rows, :, :3] * inks[rows, :, 3:].astype(np.uint16) + 127) // 255
    return colours


def _decode_deep_png(body: bytes) -> Pixels:
    """Decodes 16 bits a channel, of which Pillow would drop the lower eight."""
    try:
        deep = cv2.imdecode(np.frombuffer(bare_png(body), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        raise corrupt("pixels: OpenCV") from error
    if deep is None:
        raise corrupt("pixels: OpenCV")
    scaled = cv2.convertScaleAbs(deep, alpha=_16_TO_8) if deep.dtype == np.uint16 else deep
    del deep
    shallow = np.atleast_3d(np.asarray(scaled, np.uint8))
    if shallow.shape[2] == 1:
        return np.repeat(shallow, 3, axis=2)
    colours = shallow[..., 2::-1]
    return _on_white(colours, shallow[..., 3:4]) if shallow.shape[2] == 4 else np.ascontiguousarray(colours)


def _on_white(colours: Pixels, alpha: Pixels) -> Pixels:
    flat = np.empty(colours.shape, np.uint8)
    for rows in _bands(colours):
        weight = alpha[rows].astype(np.uint16)
        flat[rows] = (colours[rows] * weight + 255 * (255 - weight) + 127) // 255
    return flat


def _bands(pixels: Pixels) -> Iterator[slice]:
    """Some rows at a time: what is made in between of a whole picture would take several times its memory."""
    height, width = pixels.shape[:2]
    rows = max(1, _BAND_PIXELS // width)
    return (slice(top, top + rows) for top in range(0, height, rows))


def _decode_with_pillow(body: bytes, header: ImageHeader) -> Pixels:
    with open_picture(bare_png(body) if header.format == "png" else body, header.format) as picture:
        load_picture(picture)
        try:
            return _rgb_of_picture(picture)
        except (ValueError, OSError, KeyError) as error:
            raise corrupt(f"colours: {type(error).__name__}") from error


def _rgb_of_picture(picture: Image.Image) -> Pixels:
    if picture.mode.startswith("I;16"):
        deep = np.asarray(picture).astype(np.uint16)
        return np.repeat(cv2.convertScaleAbs(deep, alpha=_16_TO_8)[..., None], 3, axis=2).astype(np.uint8)
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        layers = np.asarray(picture if picture.mode == "RGBA" else picture.convert("RGBA"))
        return _on_white(layers[..., :3], layers[..., 3:4])
    return np.array(picture.convert("RGB"))
