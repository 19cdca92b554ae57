"""Tells a file's format from its first bytes, whatever its name or Content-Type says."""

from __future__ import annotations

import re

from curation.images.failures import ImageFailure, unsupported
from schemas.outcomes import FailureReason

SUPPORTED = ("jpg", "png", "gif", "webp", "bmp", "tiff", "avif")
"""The formats that are decoded. Anything else is refused before a decoder sees it."""

_TEXT_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|!doctype|!--|svg|html|head|body)", re.IGNORECASE)
_SVG = re.compile(rb"<svg[\s/>]", re.IGNORECASE)
_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE)
_SNIFFED_BYTES = 1024

_UNSUPPORTED_MAGIC = (
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"\xff\x0a", "jxl"),
    (b"8BPS", "psd"),
    (b"\x00\x00\x01\x00", "ico"),
    (b"\x00\x00\x02\x00", "cur"),
    (b"DDS ", "dds"),
    (b"qoif", "qoi"),
    (b"v/1\x01", "exr"),
    (b"#?RADIANCE", "hdr"),
    (b"II\xbc\x01", "jxr"),
    (b"icns", "icns"),
    (b"\x01\xda", "sgi"),
    (b"\x59\xa6\x6a\x95", "sun"),
    (b"SIMPLE  =", "fits"),
    (b"/* XPM */", "xpm"),
)
_NETPBM = re.compile(rb"P[1-7f]\s")
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})


def image_format(body: bytes) -> str:
    """The format of a file, one of `SUPPORTED`.

    Raises:
        ImageFailure: `unsupported_format` for an image of another kind, `not_an_image` for anything else.
    """
    found = _supported(body)
    if found is not None:
        return found
    kind = _known_kind(body)
    if kind is not None:
        raise unsupported(kind)
    raise ImageFailure(FailureReason.NOT_AN_IMAGE, _what_else(body))


def _supported(body: bytes) -> str | None:
    if body.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if body.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if body.startswith(b"RIFF") and body[8:12] == b"WEBP":
        return "webp"
    if body.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")):
        return "tiff"
    if _brands(body) & {b"avif", b"avis"}:
        return "avif"
    # Two letters say little: the header's size and an absurdity check make a bitmap of it.
    if body.startswith(b"BM") and body[14:18] in (b"\x0c\0\0\0", b"\x28\0\0\0", b"\x34\0\0\0", *_LATER_BMP):
        return "bmp"
    return None


_LATER_BMP = (b"\x38\0\0\0", b"\x40\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0")


def _brands(body: bytes) -> set[bytes]:
    """The brands of an ISO media file: the major one and the compatible ones."""
    if body[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(body[:4], "big"), 256)
    return {body[8:12], *(body[at : at + 4] for at in range(16, end, 4))}


def _known_kind(body: bytes) -> str | None:
    for magic, kind in _UNSUPPORTED_MAGIC:
        if body.startswith(magic):
            return kind
    if _brands(body) & _HEIF_BRANDS:
        return "heif"
    if _NETPBM.match(body):
        return "netpbm"
    start = body[:_SNIFFED_BYTES]
    if _TEXT_START.match(start) and _SVG.search(start) and not _HTML.search(start):
        return "svg"
    return None


def _what_else(body: bytes) -> str:
    start = body[:_SNIFFED_BYTES]
    if _TEXT_START.match(start):
        return "markup"
    if start.startswith(b"%PDF"):
        return "pdf"
    if start.lstrip()[:1] in (b"{", b"["):
        return "json"
    return f"begins with {start[:8].hex()}"
