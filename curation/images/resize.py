"""The size an image is brought to, and bringing it there."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from curation.images.pixels import Pixels

Side = Literal["shortest", "longest"]


def target_size(size: tuple[int, int], side_px: int | None, side: Side, *, upscale: bool) -> tuple[int, int]:
    """Width and height after resizing, the aspect kept to the nearest pixel.

    Args:
        size: Width and height now.
        side_px: What the chosen side becomes, None for no resizing.
        side: The side that is meant.
        upscale: Whether a smaller image is enlarged.
    """
    if side_px is None:
        return size
    measured = min(size) if side == "shortest" else max(size)
    if measured == side_px or (measured < side_px and not upscale):
        return size
    width, height = (max(1, round(length * side_px / measured)) for length in size)
    return width, height


def resize_pixels(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resizes to a width and height: by area where it shrinks, bicubic where it grows."""
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    shrinks = size[0] <= width and size[1] <= height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, size, interpolation=method), np.uint8)
