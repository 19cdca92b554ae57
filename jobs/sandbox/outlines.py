"""The outlines of the shapes, each in a box from -0.5 to 0.5."""

import numpy as np
from numpy.typing import NDArray

Contours = tuple[NDArray[np.float64], ...]


def _arc(radius: float, start: float, stop: float, points: int = 40) -> NDArray[np.float64]:
    angle = np.radians(np.linspace(start, stop, points))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _points(*points: tuple[float, float]) -> NDArray[np.float64]:
    return np.asarray(points, dtype=np.float64)


def _fitted(contour: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centres a contour and scales it so that its longer side is 1."""
    low, high = contour.min(axis=0), contour.max(axis=0)
    fitted: NDArray[np.float64] = (contour - (low + high) / 2) / float((high - low).max())
    return fitted


def _star() -> NDArray[np.float64]:
    angle = np.radians(np.arange(10) * 36 - 90)
    radius = np.where(np.arange(10) % 2 == 0, 0.5, 0.21)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _heart() -> NDArray[np.float64]:
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y], axis=1)


def _crescent() -> NDArray[np.float64]:
    outer = _arc(0.5, 45, 315)
    # The bite's circle goes through both ends of the outer arc.
    inner = _arc(0.369, 286.4, 73.6) + np.array([0.25, 0.0])
    return np.concatenate([outer, inner])


def _arch() -> NDArray[np.float64]:
    outer, inner = _arc(0.5, 180, 360), _arc(0.24, 360, 180)
    feet = _points((0.5, 0.5), (0.24, 0.5))
    return np.concatenate([outer, feet, inner, _points((-0.24, 0.5), (-0.5, 0.5))])


def _cross() -> NDArray[np.float64]:
    a, b = 0.5, 0.16
    return _points(
        *((-b, -a), (b, -a), (b, -b), (a, -b), (a, b), (b, b)),
        *((b, a), (-b, a), (-b, b), (-a, b), (-a, -b), (-b, -b)),
    )


OUTLINES: dict[str, Contours] = {
    "circle": (_arc(0.5, 0, 351),),
    "square": (_points((-0.45, -0.45), (0.45, -0.45), (0.45, 0.45), (-0.45, 0.45)),),
    "triangle": (_fitted(_points((0, -0.5), (0.55, 0.45), (-0.55, 0.45))),),
    "star": (_fitted(_star()),),
    "heart": (_fitted(_heart()),),
    "diamond": (_points((0, -0.5), (0.36, 0), (0, 0.5), (-0.36, 0)),),
    "cross": (_cross(),),
    "ring": (_arc(0.5, 0, 351), _arc(0.27, 0, 351)),
    "crescent": (_fitted(_crescent()),),
    "arrow": (
        _points(
            *((-0.5, -0.13), (0.02, -0.13), (0.02, -0.4), (0.5, 0.0)),
            *((0.02, 0.4), (0.02, 0.13), (-0.5, 0.13)),
        ),
    ),
    "hourglass": (_points((-0.42, -0.5), (0.42, -0.5), (0.06, 0), (0.42, 0.5), (-0.42, 0.5), (-0.06, 0)),),
    "arch": (_arch(),),
}
"""Closed contours in units of the object's width; a second contour is a hole."""
