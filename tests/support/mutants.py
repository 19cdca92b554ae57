"""Image files of every format and kind, and what is left of them after an accident."""

import random
import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
from pictures import gradient, saved, with_orientation
from PIL import Image

_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_HEADER_BYTES = 160


def originals(width: int = 96, height: int = 72) -> dict[str, bytes]:
    """Small intact files, by format and kind."""
    noise = np.random.default_rng(4).integers(0, 60, (height, width, 3), dtype=np.uint8)
    pixels = gradient(width, height) // 2 + noise
    picture = Image.fromarray(pixels)
    clear = Image.fromarray(np.dstack([pixels, pixels[..., 0]]))
    frames = {"save_all": True, "append_images": [picture.rotate(90), picture.rotate(180)], "duration": 40}
    deep = cv2.imencode(".png", np.dstack([pixels, pixels[..., 0]]).astype(np.uint16) * 257)[1].tobytes()
    return {
        "jpg": saved(picture, "jpg", quality=90),
        "jpg progressive": saved(picture, "jpg", progressive=True),
        "jpg gray": saved(picture.convert("L"), "jpg"),
        "jpg cmyk": saved(picture.convert("CMYK"), "jpg"),
        "jpg turned": with_orientation(pixels, "jpg", 6),
        "png": saved(picture, "png"),
        "png palette": saved(picture.quantize(64), "png", transparency=3),
        "png clear": saved(clear, "png"),
        "png deep": deep,
        "png animated": saved(picture, "png", **frames),
        "gif": saved(picture, "gif"),
        "gif animated": saved(picture, "gif", **frames),
        "webp": saved(picture, "webp"),
        "webp lossless": saved(clear, "webp", lossless=True),
        "webp clear": saved(clear, "webp"),
        "webp animated": saved(picture, "webp", **frames),
        "bmp": saved(picture, "bmp"),
        "bmp palette": saved(picture.quantize(16), "bmp"),
        "tiff": saved(picture, "tiff"),
        "tiff lzw": saved(picture, "tiff", compression="tiff_lzw"),
        "tiff deflate": saved(clear, "tiff", compression="tiff_adobe_deflate"),
        "tiff jpeg": saved(picture, "tiff", compression="jpeg"),
        "tiff fax": saved(picture.convert("1"), "tiff", compression="group4"),
        "tiff pages": saved(picture, "tiff", save_all=True, append_images=[picture]),
        "avif": saved(picture, "avif", speed=9),
        "avif clear": saved(clear, "avif", speed=9),
        "avif animated": saved(picture, "avif", speed=9, **frames),
    }


def mutants(number: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yields (kind, damaged file): bits flipped, bytes lost or doubled, ends cut off, numbers in headers replaced."""
    chance, kinds = random.Random(seed), list(originals().items())
    damages = (_flip_bits, _flip_bits, _flip_bits, _edit_header, _edit_header, _edit_header, _cut_off, _lose_or_double)
    for place in range(number):
        kind, body = kinds[place % len(kinds)]
        mutant = bytearray(body)
        for _ in range(chance.choice((1, 1, 2))):
            chance.choice(damages)(mutant, chance)
        if kind.startswith("png") and chance.random() < 0.7:
            _repair_checksums(mutant)
        yield kind, bytes(mutant)


def _flip_bits(mutant: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randrange(1, 12)):
        mutant[chance.randrange(len(mutant))] ^= 1 << chance.randrange(8)


def _edit_header(mutant: bytearray, chance: random.Random) -> None:
    """Replaces a number of one, two or four bytes near the start, or in a TIFF's directory at the end."""
    size = chance.choice((1, 2, 4))
    near_end = chance.random() < 0.2
    begin = max(0, len(mutant) - _HEADER_BYTES) if near_end else 0
    at = begin + chance.randrange(max(1, min(_HEADER_BYTES, len(mutant)) - size))
    value = chance.choice(_EXTREMES) if chance.random() < 0.7 else chance.randrange(1 << 32)
    order = chance.choice(("big", "little"))
    mutant[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, order)


def _cut_off(mutant: bytearray, chance: random.Random) -> None:
    del mutant[chance.randrange(8, max(9, len(mutant))) :]


def _lose_or_double(mutant: bytearray, chance: random.Random) -> None:
    at, length = chance.randrange(len(mutant)), chance.randrange(1, 64)
    if chance.random() < 0.5:
        del mutant[at + 1 : at + length]
    else:
        mutant[at:at] = mutant[at : at + length] * chance.choice((1, 1, 20))


def _repair_checksums(mutant: bytearray) -> None:
    """Makes every chunk's checksum right, so that damage gets past the first look."""
    at = 8
    while at + 12 <= len(mutant):
        length = int.from_bytes(mutant[at : at + 4], "big")
        if at + 12 + length > len(mutant):
            return
        checksum = zlib.crc32(mutant[at + 4 : at + 8 + length])
        mutant[at + 8 + length : at + 12 + length] = struct.pack(">I", checksum)
        at += 12 + length
