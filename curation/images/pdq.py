"""PDQ, a perceptual hash of 256 bits: rescaled, recompressed or slightly edited copies stay within a few bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pdqhash

from curation.images.pixels import Pixels

_LEAST_SIDE_PX = 5


@dataclass(frozen=True, slots=True)
class PdqHash:
    """A hash and how much it says.

    Attributes:
        digits: 256 bits as 64 hexadecimal digits, None for an image of less than 5 pixels a side.
        quality: 0 to 100; below 50 the image has too little structure for its hash to mean much.
    """

    digits: str | None
    quality: int


def inner_part(pixels: Pixels, share: float) -> Pixels:
    """The middle of an image: so large a share of its width and of its height, 0 to 1."""
    height, width = pixels.shape[:2]
    down, across = round(height * (1 - share) / 2), round(width * (1 - share) / 2)
    return pixels[down : height - down, across : width - across]


def pdq_hash(pixels: Pixels) -> PdqHash:
    """The PDQ hash of an image.

    Source: Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm",
        2019, by its reference code. That code first brings images to 512 x 512, which is left to
        the caller; it moves a hash by a few bits. The reference's tolerance (`pdq/README.md`) is 10 bits where the
        quality is 80 or more.
    """
    if min(pixels.shape[:2]) < _LEAST_SIDE_PX:
        return PdqHash(None, 0)
    bits, quality = pdqhash.compute(np.ascontiguousarray(pixels))
    return PdqHash(_digits(bits), int(quality))


def pdq_dihedral(pixels: Pixels) -> list[str | None]:
    """The hashes of an image turned by 90, 180 and 270 degrees and flipped by x, y and both diagonals.

    The reference code derives them all from one transform, but those that turn the picture's far corner to the front
    come out up to 26 bits from the hash of the picture so turned. From the picture turned by 180 degrees it derives
    exactly those well, so it is asked twice. Source: as of `pdq_hash`.
    """
    if min(pixels.shape[:2]) < _LEAST_SIDE_PX:
        return [None] * 7
    as_it_is, _ = pdqhash.compute_dihedral(np.ascontiguousarray(pixels))
    turned, _ = pdqhash.compute_dihedral(np.ascontiguousarray(pixels[::-1, ::-1]))
    # Each gives itself, turned by 90, 180 and 270 degrees, flipped by x, y and both diagonals.
    _, by_90, _, _, _, by_y, by_plus, _ = as_it_is
    by_180, by_270, _, _, _, by_x, by_minus, _ = turned
    return [_digits(bits) for bits in (by_90, by_180, by_270, by_x, by_y, by_plus, by_minus)]


def _digits(bits: npt.NDArray[np.generic]) -> str:
    return np.packbits(bits.astype(np.uint8)).tobytes().hex()
