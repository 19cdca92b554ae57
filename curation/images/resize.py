"""The size an image is brought to, and bringing it there."""

from __future__ import annotations

from typing import Literal

import numpy as np
from cykooz_resizer import FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions, Resizer

from curation.images.pixels import Pixels

Side = Literal["shortest", "longest"]

_SHRINK = ResizeOptions(ResizeAlg.convolution(FilterType.lanczos3), use_alpha=False)
# Lanczos' window would draw lines around edges that are made larger.
_ENLARGE = ResizeOptions(ResizeAlg.convolution(FilterType.catmull_rom), use_alpha=False)


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
    same bytes on every processor.
    """
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    given = ImageData(width, height, PixelType.U8x3, pixels.tobytes())
    resized = ImageData(*size, PixelType.U8x3)
    Resizer().resize(given, resized, _SHRINK if width > size[0] or height > size[1] else _ENLARGE)
    return np.frombuffer(resized.get_buffer(), np.uint8).reshape(size[1], size[0], 3)
