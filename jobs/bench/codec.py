"""What the codecs alone can do, and how near an image is to the best that could be made of it."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import mean

import cv2
import numpy as np
from PIL import Image

from curation.images.decoder_process import KEPT_MEMORY
from curation.images.delivery import DeliverySettings, deliver
from jobs.bench.downloaders import QUALITY, SIDE_PX


def codec_ceiling(paths: Sequence[Path], processes: int = 2) -> float:
    """Images per second that decode, resize and encode reach from memory, each process with its share of the files."""
    shares = [paths[place::processes] for place in range(processes)]
    before = dict(os.environ)
    # The C library reads these when a process starts, so the processes are started, not forked.
    os.environ.update(KEPT_MEMORY)
    try:
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            return sum(pool.map(_rate, shares))
    finally:
        for name in KEPT_MEMORY:
            os.environ.pop(name)
        os.environ.update(before)


def _rate(paths: Sequence[Path]) -> float:
    cv2.setNumThreads(1)
    bodies = [path.read_bytes() for path in paths]
    settings = DeliverySettings(side_px=SIDE_PX, resize="shortest", quality=QUALITY)
    deliver(bodies[0], settings)
    started = time.perf_counter()
    for body in bodies:
        deliver(body, settings)
    return len(bodies) / (time.perf_counter() - started)


def mean_psnr(pairs: Sequence[tuple[bytes, bytes]]) -> float:
    """Mean PSNR in dB of delivered images against their originals, decoded in full and resized by Pillow (Lanczos)."""
    return mean(_psnr(original, delivered) for original, delivered in pairs)


def _psnr(original: bytes, delivered: bytes) -> float:
    found = Image.open(io.BytesIO(delivered)).convert("RGB")
    wanted = Image.open(io.BytesIO(original)).convert("RGB").resize(found.size, Image.Resampling.LANCZOS)
    difference = np.asarray(found, np.float32) - np.asarray(wanted, np.float32)
    return float(10 * np.log10(255.0**2 / np.mean(difference**2)))
