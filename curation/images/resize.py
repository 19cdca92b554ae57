"""The size an image is brought to, and bringing it there."""

from __future__ import annotations

from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.images.pixels import Pixels

Side = Literal["shortest", "longest"]

_FILTERED_RATIO = 4.0
"""Shrinking by more is done by area: the kernel would be long, and area is as good there."""
_LOBES = 2


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
    """Resizes to a width and height: with a low pass before where it shrinks, bicubic."""
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    ratios = width / size[0], height / size[1]
    if max(ratios) > _FILTERED_RATIO and min(ratios) >= 1:
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    if min(ratios) > 1:
        pixels = np.asarray(cv2.sepFilter2D(pixels, -1, _low_pass(ratios[0]), _low_pass(ratios[1])), np.uint8)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _low_pass(ratio: float) -> NDArray[np.float64]:
    """Lanczos' window over what every `ratio`-th pixel stands for, so that finer detail does not turn into patterns.

    OpenCV's own Lanczos does no such thing when it shrinks, and Pillow's, which does, takes four times as long.
    """
    reach = int(np.ceil(_LOBES * ratio))
    x = np.arange(-reach, reach + 1) / ratio
    weights = np.where(np.abs(x) < _LOBES, np.sinc(x) * np.sinc(x / _LOBES), 0.0)
    return cast(NDArray[np.float64], weights / weights.sum())
