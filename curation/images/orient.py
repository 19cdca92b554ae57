"""Turning a stored image upright, as EXIF's orientation says."""

from __future__ import annotations

import numpy as np

from curation.images.pixels import Pixels


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """The image as it is meant to be seen.

    Source: EXIF 2.3, tag 0x0112: where row 0 and column 0 of the stored image belong.
    """
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    # After the transposition of 5 to 8, what is left is a mirroring of one or both axes.
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
