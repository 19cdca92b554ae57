"""From pixels to the bytes of an image."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import simplejpeg

from curation.images.failures import ImageFailure
from curation.images.pixels import Pixels
from schemas.outcomes import FailureReason

TargetFormat = Literal["jpg", "png", "webp"]

_PNG_LEVEL = 3
_LONGEST_SIDE_PX = {"jpg": 65_500, "png": 1_000_000, "webp": 16_383}


def encode_pixels(pixels: Pixels, image_format: TargetFormat, quality: int) -> bytes:
    """Encodes an image; the same bytes for the same pixels.

    Args:
        pixels: RGB, with a fourth channel or without.
        image_format: jpg with 4:2:0 subsampling, png, or lossy webp.
        quality: 1 to 100, without a meaning for png.

    Raises:
        ImageFailure: `encode_failed`, as for a side longer than the format allows.
    """
    height, width = pixels.shape[:2]
    if max(width, height) > _LONGEST_SIDE_PX[image_format]:
        raise _encode_failure(width, height, image_format)
    try:
        if image_format == "jpg":
            colours = "RGBX" if pixels.shape[2] == 4 else "RGB"
            whole = np.ascontiguousarray(pixels)
            return bytes(simplejpeg.encode_jpeg(whole, quality=quality, colorspace=colours, colorsubsampling="420"))
        return _encode_with_opencv(pixels, image_format, quality)
    except (ValueError, cv2.error) as error:
        if isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        raise _encode_failure(width, height, image_format) from error


def _encode_failure(width: int, height: int, image_format: str) -> ImageFailure:
    return ImageFailure(FailureReason.ENCODE_FAILED, f"{width} x {height} as {image_format}")


def _encode_with_opencv(pixels: Pixels, image_format: TargetFormat, quality: int) -> bytes:
    options = {"png": [cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL], "webp": [cv2.IMWRITE_WEBP_QUALITY, quality]}
    done, data = cv2.imencode(f".{image_format}", pixels[..., 2::-1], options[image_format])
    if not done:
        raise ValueError("OpenCV refused")
    return data.tobytes()
