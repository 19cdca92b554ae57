"""From the bytes of an image to its pixels: 8-bit RGB, upright, whatever was stored."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from curation.images.failures import ImageFailure, corrupt, truncated
from curation.images.header import ImageHeader
from curation.images.pillow_files import load_picture, open_picture

Pixels = NDArray[np.uint8]
"""(h, w, 3) uint8, RGB."""

_16_TO_8 = 1.0 / 257.0
# Oddities of encoders that libjpeg remarks on and that change no pixel.
_HARMLESS = ("Invalid SOS parameters", "unknown JFIF revision", "Unknown Adobe color transform")


def decode_pixels(body: bytes, header: ImageHeader, least_size: tuple[int, int] | None = None) -> Pixels:
    """Decodes an image as it is stored: its orientation is not yet applied.

    Transparency is composited on white, of an animation the first frame is taken, 16 bits are
    scaled to 8, CMYK is converted without a profile, and colour profiles are ignored.

    Args:
        body: The file.
        header: Its header.
        least_size: Width and height that suffice: a JPEG is decoded at the smallest eighth of its
            size that is not below, which costs a fraction of the time.

    Raises:
        ImageFailure: The file is truncated or damaged.
    """
    if header.format == "jpg":
        return _decode_jpeg(body, header, least_size)
    pixels = _decode_deep_png(body) if header.format == "png" and header.deep else _decode_with_pillow(body, header)
    if pixels.shape[:2] != (header.height, header.width):
        raise corrupt("the pixels are not as many as the header says")
    return pixels


def _decode_jpeg(body: bytes, header: ImageHeader, least_size: tuple[int, int] | None) -> Pixels:
    least_width, least_height = least_size or (0, 0)
    colours = "CMYK" if header.channels == 4 else "RGB"
    pixels = _run_jpeg_decoder(body, colours, least_width, least_height)
    return _rgb_of_cmyk(pixels) if header.channels == 4 else pixels


def _run_jpeg_decoder(body: bytes, colours: str, least_width: int, least_height: int) -> Pixels:
    options = {"colorspace": colours, "min_width": least_width, "min_height": least_height}
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
    return truncated(message) if "Premature end of JPEG file" in message else corrupt(message)


def _rgb_of_cmyk(inks: Pixels) -> Pixels:
    """RGB of CMYK as JPEG files have it: inverted, by Adobe's convention, so that 255 is no ink."""
    black = inks[..., 3:4].astype(np.uint16)
    return ((inks[..., :3] * black + 127) // 255).astype(np.uint8)


def _decode_deep_png(body: bytes) -> Pixels:
    """Decodes 16 bits a channel, of which Pillow would drop the lower eight."""
    try:
        deep = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise corrupt("pixels: OpenCV") from error
    if deep is None:
        raise corrupt("pixels: OpenCV")
    scaled = cv2.convertScaleAbs(deep, alpha=_16_TO_8) if deep.dtype == np.uint16 else deep
    shallow = np.atleast_3d(np.asarray(scaled, np.uint8))
    if shallow.shape[2] == 1:
        return np.repeat(shallow, 3, axis=2)
    colours = np.ascontiguousarray(shallow[..., 2::-1])
    return _on_white(colours, shallow[..., 3:4]) if shallow.shape[2] == 4 else colours


def _on_white(colours: Pixels, alpha: Pixels) -> Pixels:
    weight = alpha.astype(np.uint16)
    return ((colours * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)


def _decode_with_pillow(body: bytes, header: ImageHeader) -> Pixels:
    with open_picture(body, header.format) as picture:
        load_picture(picture)
        try:
            return _rgb_of_picture(picture)
        except (ValueError, OSError, KeyError, MemoryError) as error:
            raise corrupt(f"colours: {type(error).__name__}") from error


def _rgb_of_picture(picture: Image.Image) -> Pixels:
    if picture.mode.startswith("I;16"):
        deep = np.asarray(picture).astype(np.uint16)
        return np.repeat(cv2.convertScaleAbs(deep, alpha=_16_TO_8)[..., None], 3, axis=2).astype(np.uint8)
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        layers = np.asarray(picture.convert("RGBA"))
        return _on_white(layers[..., :3], layers[..., 3:4])
    return np.array(picture.convert("RGB"))
