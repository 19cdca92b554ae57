"""Turns a picture into a near-copy of it, as sites do when they take over each other's pictures."""

import math
from collections.abc import Callable, Mapping

import cv2
import numpy as np

from jobs.sandbox.draw import Image
from jobs.sandbox.formats import jpeg
from jobs.sandbox.seeded import Draws
from jobs.sandbox.trouble import CopyKind

_USUAL_QUALITY = (80.0, 92.0)
_LOW_QUALITY = (40.0, 75.0)
_MOST_CROPPED_AREA = 0.1
_MARKS = ("PixShare", "(c) webgallery", "SAMPLE", "photos.example", "stockhub")


def near_copy(image: Image, kind: CopyKind, draws: Draws) -> bytes:
    """Returns an altered copy as JPEG.

    Args:
        image: (h, w, 3) uint8, RGB; it is not changed.
        kind: one of the near kinds: rescaled by 0.5 to 0.9, recompressed at quality 40 to 75,
            cropped by at most 10 % of the area, watermarked, or colours shifted.
        draws: decides how strongly.

    Raises:
        KeyError: if the kind is not a near one.
    """
    altered = _EDITS[kind](image, draws)
    quality = _LOW_QUALITY if kind is CopyKind.RECOMPRESSED else _USUAL_QUALITY
    return jpeg(altered, round(draws.between(*quality)))


def _rescaled(image: Image, draws: Draws) -> Image:
    scale = draws.between(0.5, 0.9)
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _recompressed(image: Image, draws: Draws) -> Image:
    return image


def _cropped(image: Image, draws: Draws) -> Image:
    height, width = image.shape[:2]
    # The area that is cut, shared between both directions, then between both sides of each.
    kept = math.log(1 - draws.between(0.01, _MOST_CROPPED_AREA))
    across = draws.between(0.3, 0.7)
    new_width = math.ceil(width * math.exp(kept * across))
    new_height = math.ceil(height * math.exp(kept * (1 - across)))
    left = round((width - new_width) * draws.between(0.25, 0.75))
    top = round((height - new_height) * draws.between(0.25, 0.75))
    return np.ascontiguousarray(image[top : top + new_height, left : left + new_width])


def _watermarked(image: Image, draws: Draws) -> Image:
    height, width = image.shape[:2]
    text, scale = draws.pick(_MARKS), width / 640
    (text_width, text_height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    x = round((width - text_width) * draws.between(0.02, 0.98))
    y = round(text_height + (height - text_height) * draws.pick((0.03, 0.5, 0.95)))
    marked = image.copy()
    thickness = max(1, round(scale * 2))
    cv2.putText(marked, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thickness, cv2.LINE_AA)
    strength = draws.between(0.35, 0.6)
    return np.asarray(cv2.addWeighted(marked, strength, image, 1 - strength, 0.0), np.uint8)


def _colour_shifted(image: Image, draws: Draws) -> Image:
    # Mild enough that every colour keeps its name.
    levels = np.arange(256)
    tables = []
    for _ in range(3):
        gain, lift = draws.between(0.93, 1.07), draws.between(-6.0, 6.0)
        tables.append(np.clip(np.rint(levels * gain + lift), 0, 255))
    return np.asarray(cv2.LUT(image, np.stack(tables, axis=1)[None].astype(np.uint8)), np.uint8)


_EDITS: Mapping[CopyKind, Callable[[Image, Draws], Image]] = {
    CopyKind.RESCALED: _rescaled,
    CopyKind.RECOMPRESSED: _recompressed,
    CopyKind.CROPPED: _cropped,
    CopyKind.WATERMARKED: _watermarked,
    CopyKind.COLOUR_SHIFTED: _colour_shifted,
}
