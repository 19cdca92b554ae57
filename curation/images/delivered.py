"""Opens images that `decode_images` has let through, as the models want them."""

from __future__ import annotations

import io
import struct

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

_JPEG = b"\xff\xd8\xff"
_COLOURS_ALIKE = ("YCbCr", "Gray")
# What Pillow raises for broken files, from its own checks and from those of the plugins for each format.
_UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)


class UnreadableImageError(ValueError):
    """The bytes are no image that can be read; the message says why."""


def open_delivered(data: bytes | None) -> Image.Image:
    """The pixels of an encoded image as RGB.

    Raises:
        UnreadableImageError: There are no bytes, or they cannot be decoded.
    """
    if not data:
        raise UnreadableImageError("no bytes")
    if data.startswith(_JPEG):
        try:
            if simplejpeg.decode_jpeg_header(data)[2] in _COLOURS_ALIKE:
                # Twice as fast as Pillow and the same pixels: both decode with libjpeg-turbo.
                return Image.fromarray(np.asarray(simplejpeg.decode_jpeg(data, "RGB")))
        except ValueError:
            # Pillow forgives some faults, and says of the others what they are.
            pass
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")
    except UnidentifiedImageError as error:
        # Its own message has a memory address in it, which would differ from run to run.
        raise UnreadableImageError("of no known image format") from error
    except _UNREADABLE as error:
        raise UnreadableImageError(str(error) or type(error).__name__) from error
