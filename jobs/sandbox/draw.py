"""Draws scenes with OpenCV.

A drawing does not depend on its size: every length is a fraction of the picture, and the
background is a small grid of noise, scaled up.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.sandbox.outlines import OUTLINES
from jobs.sandbox.scene import Background, Scene, SceneObject
from jobs.sandbox.vocabulary import PATTERN_INK, TONES

Image = NDArray[np.uint8]

_SHIFT = 4
_NOISE_SALT = 0xC10D
_OCTAVES = ((3, 1.0), (6, 0.8), (11, 0.7), (18, 0.5))
_GRID = 36
_SMALL_PX = 160


def draw_scene(scene: Scene, width: int, height: int) -> Image:
    """Draws a scene.

    Args:
        scene: what to draw.
        width: in pixels, best in the scene's aspect.
        height: in pixels.

    Returns:
        (height, width, 3) uint8, RGB.
    """
    # Thin lines grow when few pixels are antialiased, so small pictures are drawn larger first.
    scale = 3 if min(width, height) < _SMALL_PX else 1
    image = _background(scene.background, width * scale, height * scale)
    for item in scene.objects:
        _draw_object(image, item)
    if scale == 1:
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def size_of(scene: Scene, long_side: int) -> tuple[int, int]:
    """Returns (width, height) in the scene's aspect with the given longer side, in pixels."""
    across, down = scene.aspect
    if across >= down:
        return long_side, round(long_side * down / across)
    return round(long_side * across / down), long_side


def _background(background: Background, width: int, height: int) -> Image:
    generator = np.random.Generator(np.random.PCG64([_NOISE_SALT, background.noise_seed]))
    field = np.zeros((_GRID, _GRID), np.float32)
    for cells, weight in _OCTAVES:
        noise = generator.random((cells, cells)).astype(np.float32) - 0.5
        field += weight * cv2.resize(noise, (_GRID, _GRID), interpolation=cv2.INTER_CUBIC)
    low, high = float(field.min()), float(field.max())
    share = background.low + (background.high - background.low) * (field - low) / (high - low)
    dark, light = (np.asarray(rgb, np.float32) for rgb in TONES[background.tone][:2])
    grid = np.rint(dark + (light - dark) * share[..., None]).astype(np.uint8)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _draw_object(image: Image, item: SceneObject) -> None:
    height, width = image.shape[:2]
    side = min(width, height)
    centre = ((width - side) / 2 + item.x * side, (height - side) / 2 + item.y * side)
    span = item.extent * side
    reach = math.ceil(span * 0.62) + 2
    left, top = max(0, int(centre[0]) - reach), max(0, int(centre[1]) - reach)
    region = image[top : int(centre[1]) + reach + 1, left : int(centre[0]) + reach + 1]
    local = (centre[0] - left, centre[1] - top)
    mask = np.zeros(region.shape[:2], np.uint8)
    contours = [_pixels(contour, item.tilt, span, local) for contour in OUTLINES[item.shape]]
    cv2.fillPoly(mask, contours, 255, cv2.LINE_AA, _SHIFT)
    paint = np.empty(region.shape, np.uint8)
    paint[:] = item.rgb
    if item.texture != "plain":
        _pattern(paint, item, span, local)
    alpha = cv2.merge((mask, mask, mask)).astype(np.uint16)
    blended = region * (255 - alpha) + paint * alpha
    region[:] = (blended + 127) // 255


def _pixels(contour: NDArray[np.float64], tilt: float, span: float, centre: tuple[float, float]) -> NDArray[np.int32]:
    """Turns, scales and moves a contour; in OpenCV's fixed-point pixels, centres at integers."""
    angle = math.radians(tilt)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    placed = contour @ turn * span + (np.asarray(centre) - 0.5)
    return np.asarray(np.rint(placed * (1 << _SHIFT)), np.int32)


def _pattern(paint: Image, item: SceneObject, span: float, centre: tuple[float, float]) -> None:
    """Draws the texture over a paint; it never covers more than half of it."""
    ink = PATTERN_INK[item.colour]
    if item.texture == "striped":
        marks = [_slab(0.08, 1.3, 0.0, k * 0.2) for k in range(-3, 4)]
    elif item.texture == "dotted":
        step = 0.23
        marks = [
            _disc(0.07, (column + 0.5 * (row % 2)) * step, row * step * 0.9)
            for row in range(-3, 4)
            for column in range(-3, 4)
        ]
    else:
        step = 0.18
        marks = [
            _slab(step * 0.94, step * 0.94, column * step, row * step)
            for row in range(-4, 5)
            for column in range(-4, 5)
            if (row + column) % 2 == 0
        ]
    lean = 35.0 if item.texture == "striped" else 0.0
    contours = [_pixels(mark, item.tilt + lean, span, centre) for mark in marks]
    for contour in contours:
        cv2.fillConvexPoly(paint, contour, ink, cv2.LINE_AA, _SHIFT)


def _slab(height: float, width: float, x: float, y: float) -> NDArray[np.float64]:
    a, b = width / 2, height / 2
    return np.array([[x - a, y - b], [x + a, y - b], [x + a, y + b], [x - a, y + b]])


def _disc(radius: float, x: float, y: float) -> NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)
