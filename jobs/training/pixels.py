"""Decodes training images and changes them lightly."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.training.config import AugmentConfig

Pixels = NDArray[np.uint8]

IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp")

_GRAY_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)


def decode_square(body: bytes, size: int) -> Pixels | None:
    """Returns the central square of an image, (size, size, 3) uint8 RGB, or None if it is broken.

    As open_clip's preprocessing does: the shorter side becomes `size`, then the middle is cut out.
    """
    image = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        return None
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    if side == size:
        return np.ascontiguousarray(square)
    shrinks = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(square, (size, size), interpolation=shrinks), np.uint8)


def augment(image: Pixels, size: int, config: AugmentConfig, draw: np.random.Generator) -> Pixels:
    """Returns a lightly changed copy, (size, size, 3) uint8.

    Args:
        image: (side, side, 3) uint8, with `side` at least `size`.
        size: the sides of the result in pixels.
        config: how strong the changes are.
        draw: decides about them.
    """
    changed = _cropped(image, size, config, draw)
    if config.flip and draw.random() < config.flip:
        changed = np.ascontiguousarray(changed[:, ::-1])
    changed = _recoloured(changed, config, draw)
    if config.jpeg and draw.random() < config.jpeg:
        quality = int(draw.integers(50, 96))
        _, body = cv2.imencode(".jpg", changed, [cv2.IMWRITE_JPEG_QUALITY, quality])
        changed = np.asarray(cv2.imdecode(body, cv2.IMREAD_COLOR), np.uint8)
    return changed


def _cropped(image: Pixels, size: int, config: AugmentConfig, draw: np.random.Generator) -> Pixels:
    side = image.shape[0]
    cuts = np.floor(draw.random(4) * (config.max_crop * side + 1)).astype(int)
    top, bottom, left, right = (int(cut) for cut in cuts)
    region: Any = image[top : side - bottom, left : side - right]
    if region.shape[0] == size and region.shape[1] == size:
        return np.ascontiguousarray(region)
    how = cv2.INTER_AREA if draw.random() < 0.5 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(region, (size, size), interpolation=how), np.uint8)


def _recoloured(image: Pixels, config: AugmentConfig, draw: np.random.Generator) -> Pixels:
    spread = draw.uniform(-1.0, 1.0, 5).astype(np.float32)
    scale = (1 + config.contrast * spread[0]) * (1 + config.colour * spread[2:])
    shift = 127.5 * (1 - scale) + 255 * config.brightness * spread[1]
    if config.gray and draw.random() < config.gray:
        gray = image.astype(np.float32) @ _GRAY_WEIGHTS
        image = np.repeat(gray[..., None], 3, axis=2).astype(np.uint8)
    # One table for each channel does the arithmetic once for each of its 256 values.
    values = np.arange(256, dtype=np.float32)[:, None] * scale + shift
    table = np.clip(np.rint(values), 0, 255).astype(np.uint8)[None]
    return np.asarray(cv2.LUT(image, table), np.uint8)
