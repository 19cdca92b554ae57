"""Encodes pictures in the formats that the web uses."""

import io

import cv2
import numpy as np
import simplejpeg
from PIL import Image as Pictures

from jobs.sandbox.draw import Image

ORIENTATIONS = (2, 3, 4, 5, 6, 7, 8)
"""The values of EXIF's orientation by which stored pixels have to be turned."""

_ORIENTATION_TAG = 0x0112


def jpeg(image: Image, quality: int) -> bytes:
    """Encodes (h, w, 3) uint8 RGB as baseline JPEG."""
    return bytes(simplejpeg.encode_jpeg(image, quality=quality, colorsubsampling="420"))


def jpeg_progressive(image: Image, quality: int) -> bytes:
    """Encodes (h, w, 3) uint8 RGB as progressive JPEG."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    return _by_opencv(".jpg", image, options)


def jpeg_gray(image: Image, quality: int) -> bytes:
    """Encodes the brightness of (h, w, 3) uint8 RGB as JPEG with one channel."""
    return _by_opencv(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), [cv2.IMWRITE_JPEG_QUALITY, quality])


def jpeg_cmyk(image: Image, quality: int) -> bytes:
    """Encodes (h, w, 3) uint8 RGB as JPEG in CMYK, with the black that printers use."""
    ink = 255 - image.astype(np.float32)
    black = ink.min(axis=2, keepdims=True)
    # Viewers show (1 - ink) * (1 - black), of which this is the inverse.
    colours = (ink - black) * 255 / np.maximum(255 - black, 1)
    planes = np.rint(np.concatenate([colours, black], axis=2)).astype(np.uint8)
    return _by_pillow(Pictures.frombuffer("CMYK", image.shape[1::-1], planes), "JPEG", quality=quality)


def jpeg_rotated(image: Image, quality: int, orientation: int) -> bytes:
    """Encodes (h, w, 3) uint8 RGB as JPEG that shows the picture once EXIF's orientation is applied.

    Raises:
        ValueError: if the orientation is not 2 to 8.
    """
    if orientation not in ORIENTATIONS:
        raise ValueError(f"orientation {orientation} does not turn a picture; one of {ORIENTATIONS} does")
    exif = Pictures.Exif()
    exif[_ORIENTATION_TAG] = orientation
    segment = exif.tobytes()
    header = b"\xff\xd8\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
    return header + jpeg(_stored(image, orientation), quality)[2:]


def png(image: Image) -> bytes:
    """Encodes (h, w, 3) uint8 RGB as PNG."""
    return _by_opencv(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def png_rgba(image: Image) -> bytes:
    """Encodes (h, w, 3) uint8 RGB as PNG with alpha: the corners are transparent."""
    height, width = image.shape[:2]
    alpha = np.zeros((height, width), np.uint8)
    centre = (width // 2, height // 2)
    axes = (round(width * 0.68), round(height * 0.68))
    cv2.ellipse(alpha, centre, axes, 0, 0, 360, 255, cv2.FILLED, cv2.LINE_AA)
    return _by_opencv(".png", np.dstack([image, alpha]), [cv2.IMWRITE_PNG_COMPRESSION, 1])


def png_palette(image: Image) -> bytes:
    """Encodes (h, w, 3) uint8 RGB as PNG with a palette of 256 colours."""
    return _by_pillow(_palette(image, 256), "PNG", compress_level=1)


def png_sixteen_bit(image: Image) -> bytes:
    """Encodes (h, w, 3) uint8 RGB as PNG with 16 bits a channel."""
    return _by_opencv(".png", image.astype(np.uint16) * 257, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def webp(image: Image, quality: int) -> bytes:
    """Encodes (h, w, 3) uint8 RGB as lossy WebP."""
    return _by_pillow(Pictures.fromarray(image), "WEBP", quality=quality, method=2)


def webp_lossless(image: Image) -> bytes:
    """Encodes (h, w, 3) uint8 RGB as lossless WebP."""
    return _by_pillow(Pictures.fromarray(image), "WEBP", lossless=True, quality=0, method=0)


def avif(image: Image, quality: int) -> bytes:
    """Encodes (h, w, 3) uint8 RGB as AVIF."""
    return _by_pillow(Pictures.fromarray(image), "AVIF", quality=quality, speed=9, max_threads=1)


def gif_animated(frames: list[Image]) -> bytes:
    """Encodes frames, each (h, w, 3) uint8 RGB of one size, as a looping GIF."""
    first, *others = (_palette(frame, 128) for frame in frames)
    return _by_pillow(first, "GIF", save_all=True, append_images=others, duration=120, loop=0, optimize=False)


def _stored(image: Image, orientation: int) -> Image:
    """Returns the pixels to store so that a viewer that applies the orientation shows the picture."""
    stored = {
        2: lambda: image[:, ::-1],
        3: lambda: image[::-1, ::-1],
        4: lambda: image[::-1],
        5: lambda: image.transpose(1, 0, 2),
        6: lambda: np.rot90(image, 1),
        7: lambda: image[::-1, ::-1].transpose(1, 0, 2),
        8: lambda: np.rot90(image, -1),
    }[orientation]()
    return np.ascontiguousarray(stored)


def _palette(image: Image, colours: int) -> Pictures.Image:
    method = Pictures.Quantize.FASTOCTREE
    return Pictures.fromarray(image).quantize(colours, method=method, dither=Pictures.Dither.NONE)


def _by_opencv(extension: str, image: np.ndarray, options: list[int]) -> bytes:
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    made, encoded = cv2.imencode(extension, np.ascontiguousarray(image), options)
    if not made:
        raise ValueError(f"OpenCV could not write {extension}")
    return encoded.tobytes()


def _by_pillow(picture: Pictures.Image, name: str, **options: object) -> bytes:
    body = io.BytesIO()
    picture.save(body, name, **options)
    return body.getvalue()
