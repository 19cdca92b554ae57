"""Small pictures in every format, for tests of what decodes them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from curation.images.pixels import Pixels

FORMATS = {"jpg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WEBP", "bmp": "BMP", "tiff": "TIFF", "avif": "AVIF"}


def gradient(width: int, height: int) -> Pixels:
    """A smooth picture without symmetries: red grows to the right, green downwards, blue both ways."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    x, y = x / max(1, width - 1), y / max(1, height - 1)
    return np.stack([40 + 180 * x, 30 + 150 * y, 20 + 100 * x * y], axis=-1).astype(np.uint8)


def saved(picture: Image.Image | Pixels, image_format: str, **options: object) -> bytes:
    """The bytes of a picture in a format."""
    body = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(body, FORMATS[image_format], **options)
    return body.getvalue()


def with_orientation(picture: Pixels, image_format: str, orientation: int) -> bytes:
    """A picture with an orientation in its EXIF."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(picture, image_format, exif=exif)


def png_chunk(name: bytes, data: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header claims a size, with pixels for one row at most."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, data) for name, data in chunks)
