"""Photo-like JPEGs for benchmarks: as many as wanted, each of its own, the same for the same seed."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

_CANVAS_PX = 2048
_CANVASES = 6
_CHUNK = 250
_MIN_BYTES, _MAX_BYTES = 20_000, 200_000
_TRIES = 8
_STEEPNESS = (1.25, 1.5, 1.5)
"""Exponents by which amplitudes fall with the frequency: of brightness, and of two differences of colours."""
_PER_FOLDER = 1000


@dataclass(frozen=True, slots=True)
class PhotoSet:
    """What a folder of photos holds: file `i` lies at `path_of(i)`."""

    count: int
    seed: int
    bytes: int
    pixels: int

    @staticmethod
    def path_of(index: int) -> str:
        """Path of a photo, relative to the folder."""
        return f"{index // _PER_FOLDER:03d}/{index:06d}.jpg"


def make_photos(folder: Path, count: int, seed: int = 0, processes: int = 2) -> PhotoSet:
    """Writes JPEGs of 20 to 200 kB, 400 to 1,600 pixels wide, unless they are there already.

    Their spectrum falls with the frequency as that of photographs does (amplitude about 1/f), with edges,
    gradients and sensor noise, so that decoders and encoders do the work that they do on photographs.

    Source: Field, "Relations between the statistics of natural images and the response properties of
        cortical cells", 1987, for the spectrum.
    """
    done = folder / "photos.json"
    if done.is_file():
        found = PhotoSet(**json.loads(done.read_text(encoding="utf-8")))
        if (found.count, found.seed) == (count, seed):
            return found
    starts = range(0, count, _CHUNK)
    # A fork of a process with threads stands still where one of them held a lock.
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        sums = list(
            pool.map(_write_chunk, *zip(*((folder, at, min(at + _CHUNK, count), seed) for at in starts), strict=True))
        )
    photos = PhotoSet(count, seed, sum(size for size, _ in sums), sum(pixels for _, pixels in sums))
    done.write_text(json.dumps(asdict(photos)), encoding="utf-8")
    return photos


def _write_chunk(folder: Path, start: int, stop: int, seed: int) -> tuple[int, int]:
    cv2.setNumThreads(1)
    canvases = [_canvas(seed * 1000 + number) for number in range(_CANVASES)]
    grain = np.random.default_rng(seed).normal(0, 1, (_CANVAS_PX, _CANVAS_PX, 3)).astype(np.float32)
    size = pixels = 0
    for index in range(start, stop):
        data, area = _photo(canvases, grain, np.random.default_rng([seed, index]))
        path = folder / PhotoSet.path_of(index)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        size += len(data)
        pixels += area
    return size, pixels


def _canvas(seed: int) -> NDArray[np.float32]:
    """(2048, 2048, 3) float32, about -1 to 1: noise with a spectrum of 1/f, its channels akin."""
    rng = np.random.default_rng(seed)
    across = np.fft.rfftfreq(_CANVAS_PX)[None, :]
    down = np.fft.fftfreq(_CANVAS_PX)[:, None]
    frequency = np.maximum(np.hypot(across, down), 1.0 / _CANVAS_PX)
    planes = []
    for steepness in _STEEPNESS:
        phase = np.exp(2j * np.pi * rng.random(frequency.shape))
        plane = np.fft.irfft2(frequency**-steepness * phase, s=(_CANVAS_PX, _CANVAS_PX))
        planes.append(plane / plane.std())
    light, first, second = planes
    mixed = np.stack([light + 0.25 * first, light + 0.1 * second, light - 0.25 * first], axis=-1)
    return (0.4 * mixed).astype(np.float32)


def _photo(
    canvases: list[NDArray[np.float32]], grain: NDArray[np.float32], rng: np.random.Generator
) -> tuple[bytes, int]:
    """One JPEG of the wanted size in bytes, and its number of pixels."""
    width = int(rng.integers(400, 1601))
    height = int(np.clip(width * rng.choice([2 / 3, 3 / 4, 1.0, 4 / 3, 3 / 2]), 320, 1600))
    canvas = canvases[int(rng.integers(len(canvases)))]
    pixels = _scene(_crop(canvas, rng, (height, width)), _crop(grain, rng, (height, width)), rng)
    quality = int(rng.integers(72, 93))
    for _ in range(_TRIES):
        data = bytes(simplejpeg.encode_jpeg(pixels, quality=quality, colorsubsampling="420"))
        if len(data) > _MAX_BYTES:
            quality -= 12
        elif len(data) < _MIN_BYTES:
            quality = min(97, quality + 8)
        else:
            break
    return data, width * height


def _crop(canvas: NDArray[np.float32], rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    top, left = (int(rng.integers(_CANVAS_PX - length + 1)) for length in size)
    return canvas[top : top + size[0], left : left + size[1]]


def _scene(texture: NDArray[np.float32], grain: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    picture = texture * np.float32(rng.uniform(0.3, 0.8))
    slope = np.linspace(-0.4, 0.4, len(picture), dtype=np.float32)[:, None, None]
    picture += slope * np.float32(rng.uniform(-1, 1))
    picture += rng.uniform(-0.2, 0.2, 3).astype(np.float32)
    for _ in range(int(rng.integers(3, 12))):
        _draw_object(picture, rng)
    picture += grain * np.float32(rng.uniform(0.003, 0.012))
    return cv2.convertScaleAbs(np.maximum(picture + 1, 0), alpha=127.5).astype(np.uint8, copy=False)


def _draw_object(picture: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Shifts the colours within a shape: texture stays, an edge appears."""
    height, width = picture.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    centre = (int(rng.integers(width)), int(rng.integers(height)))
    axes = (int(rng.integers(width // 30, width // 4)), int(rng.integers(height // 30, height // 4)))
    cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    cv2.add(picture, np.asarray([*rng.uniform(-0.5, 0.5, 3), 0.0]), dst=picture, mask=mask)
