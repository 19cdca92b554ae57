"""BMP, TIFF and AVIF as files: read by Pillow, header first, and checked for their end where Pillow does not."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Literal

from PIL import AvifImagePlugin, BmpImagePlugin, GifImagePlugin, Image, PngImagePlugin, TiffImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from curation.images.failures import corrupt, too_many_frames, truncated, unsupported
from curation.images.header import MAX_BLOCKS, MAX_FRAMES, ImageHeader

# Pillow warns of what it mends (odd EXIF, palettes with transparency): of every file anew, and to no end here.
warnings.filterwarnings("ignore", module=r"PIL\.")

# Its default, a thread for each processor, makes the memory that a file takes depend on the machine.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

_PLUGINS: Mapping[str, type[ImageFile]] = {
    "png": PngImagePlugin.PngImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
}
"""All of Pillow that ever sees a file. `Image.open` would load every plugin that is installed and choose by itself."""

_ORIENTATION_TAG = 274
_PLACES_AND_LENGTHS = ((273, 279), (324, 325))
_TIFF_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_UNBOUNDED_MODES = frozenset({"I", "F"})
"""32 bits a channel: nothing says which value is white."""


def open_picture(body: bytes, image_format: str) -> ImageFile:
    """The picture as Pillow opens it: its header is read, its pixels are not.

    No decoder but that of the given format looks at the file.

    Raises:
        ImageFailure: Pillow cannot make sense of the header.
    """
    try:
        return _PLUGINS[image_format](io.BytesIO(body))
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        raise unsupported("too many pixels for Pillow") from error
    except Exception as error:
        raise corrupt(f"header: {type(error).__name__}") from error


def load_picture(picture: Image.Image) -> None:
    """Decodes the pixels of an opened picture. Raises ImageFailure if they are damaged or not all there."""
    try:
        picture.load()
    except Exception as error:
        if isinstance(error, MemoryError) or "memory" in str(error):
            raise MemoryError from error
        # Of the other formats it is known by now that the file is there to its end.
        if picture.format in ("BMP", "TIFF") and ("truncated" in str(error) or isinstance(error, EOFError)):
            raise truncated("pixels") from error
        raise corrupt(f"pixels: {type(error).__name__}") from error


def read_bmp_header(body: bytes) -> ImageHeader:
    """The header of a BMP file. Raises ImageFailure."""
    picture = open_picture(body, "bmp")
    return ImageHeader("bmp", *picture.size)


def read_tiff_header(body: bytes) -> ImageHeader:
    """The header of a TIFF file; Pillow applies its orientation itself. Raises ImageFailure."""
    frames = _require_directories(body)
    picture = open_picture(body, "tiff")
    if picture.mode in _UNBOUNDED_MODES:
        raise unsupported(f"tiff of mode {picture.mode}")
    for place_tag, length_tag in _PLACES_AND_LENGTHS:
        ends = zip(_numbers_of(picture, place_tag), _numbers_of(picture, length_tag), strict=False)
        if any(place + length > len(body) for place, length in ends):
            raise truncated("pixels lie beyond the end")
    return ImageHeader("tiff", *picture.size, deep=picture.mode.startswith("I;16"), frames=frames)


def _numbers_of(picture: ImageFile, tag: int) -> tuple[int, ...]:
    try:
        numbers = getattr(picture, "tag_v2", {}).get(tag, ())
    except Exception as error:
        raise corrupt(f"tag {tag}: {type(error).__name__}") from error
    if not isinstance(numbers, tuple) or not all(isinstance(number, int) for number in numbers):
        raise corrupt(f"tag {tag} is not of whole numbers")
    return numbers


def _require_directories(body: bytes) -> int:
    """The number of directories, one for each picture.

    Raises:
        ImageFailure: The first directory or a value that it refers to lies beyond the end, its values
            are longer than the file, or there are too many directories.
    """
    order: Literal["little", "big"] = "little" if body[:2] == b"II" else "big"
    if int.from_bytes(body[2:4], order) == 43:
        return 1  # BigTIFF: left to Pillow
    place = int.from_bytes(body[4:8], order)
    _require_values(body, place, order)
    seen: set[int] = set()
    while place and place not in seen and place + 2 <= len(body):
        seen.add(place)
        if len(seen) > MAX_FRAMES:
            raise too_many_frames(MAX_FRAMES)
        end = place + 2 + 12 * int.from_bytes(body[place : place + 2], order)
        place = int.from_bytes(body[end : end + 4], order)
    return max(1, len(seen))


def _require_values(body: bytes, place: int, order: Literal["little", "big"]) -> None:
    entries = int.from_bytes(body[place : place + 2], order)
    if place + 2 + 12 * entries > len(body):
        raise truncated("ends within the directory")
    total = 0
    for at in range(place + 2, place + 2 + 12 * entries, 12):
        kind, count = int.from_bytes(body[at + 2 : at + 4], order), int.from_bytes(body[at + 4 : at + 8], order)
        size = _TIFF_TYPE_BYTES.get(kind, 0) * count
        if size > 4 and int.from_bytes(body[at + 8 : at + 12], order) + size > len(body):
            raise truncated("a tag lies beyond the end")
        total += size
    # Thousands of tags that all refer to the same bytes would each get a copy of them.
    if total > 2 * len(body):
        raise corrupt("tags longer than the file")


def read_avif_header(body: bytes) -> ImageHeader:
    """The header of an AVIF file; Pillow gives its turning and mirroring as EXIF's orientation. Raises ImageFailure."""
    _require_whole_boxes(body)
    picture = open_picture(body, "avif")
    try:
        orientation = int(picture.getexif().get(_ORIENTATION_TAG, 1))
    except Exception as error:
        raise corrupt(f"EXIF: {type(error).__name__}") from error
    frames = int(getattr(picture, "n_frames", 1))
    if frames > MAX_FRAMES:
        raise too_many_frames(MAX_FRAMES)
    return ImageHeader("avif", *picture.size, orientation if 1 <= orientation <= 8 else 1, frames=frames)


def _require_whole_boxes(body: bytes) -> None:
    at = 0
    for _ in range(MAX_BLOCKS):
        if at + 8 > len(body):
            break
        size = int.from_bytes(body[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(body[at + 8 : at + 16], "big")
        if size == 0:
            return
        if size < 8:
            raise corrupt("bad box length")
        at += size
    if at > len(body):
        raise truncated("ends within a box")
