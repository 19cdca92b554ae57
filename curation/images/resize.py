"""The size an image is brought to, and bringing it there."""

from __future__ import annotations

import threading
from typing import Literal

import cv2
import numpy as np
from cykooz_resizer import FilterType, ResizeAlg, ResizeOptions, Resizer
from PIL import Image

from curation.images.pixels import Pixels

Side = Literal["shortest", "longest"]

_SHRINK = ResizeOptions(ResizeAlg.convolution(FilterType.lanczos3), use_alpha=False)
# Lanczos' window would draw lines around edges that are made larger.
_ENLARGE = ResizeOptions(ResizeAlg.convolution(FilterType.catmull_rom), use_alpha=False)
_FOUR_CHANNELS = "CMYK"
"""What Pillow calls four bytes a pixel of which none says how much the others count."""
_MOST_KEPT_PIXELS = 1 << 22
_of_this_thread = threading.local()


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
    """Resizes to a width and height: Lanczos' filter of three lobes where it shrinks, bicubic where it enlarges.

    The filter is as wide as what a new pixel stands for, so that finer detail does not turn into patterns. The
    same bytes on every processor. What has another size then has four channels, the last without a meaning.
    """
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    if pixels.shape[2] == 3:
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA), np.uint8)
    resized = np.empty((size[1], size[0], 4), np.uint8)
    options = _SHRINK if width > size[0] or height > size[1] else _ENLARGE
    largest = max(width * height, size[0] * size[1])
    resizer = _kept_resizer() if largest <= _MOST_KEPT_PIXELS else Resizer()
    resizer.resize_pil(_shared(pixels), _shared(resized), options)
    return resized


def _shared(pixels: Pixels) -> Image.Image:
    """The same memory as Pillow knows it: the resizer's own pictures would be copied in and out."""
    height, width = pixels.shape[:2]
    return Image.frombuffer(_FOUR_CHANNELS, (width, height), pixels, "raw", _FOUR_CHANNELS, 0, 1)


def _kept_resizer() -> Resizer:
    """This thread's own. It keeps the memory that it works in, which a new one would take and clear for every image."""
    if not hasattr(_of_this_thread, "resizer"):
        _of_this_thread.resizer = Resizer()
    return _of_this_thread.resizer
