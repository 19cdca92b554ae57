"""From a body to the image that is delivered: judged by its header, decoded, brought to a size and encoded."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import cv2

from curation.images.encode import TargetFormat, encode_pixels
from curation.images.failures import ImageFailure, unsupported
from curation.images.formats import SUPPORTED, image_format
from curation.images.header import MAX_FRAMES, ImageHeader
from curation.images.headers import read_header
from curation.images.orient import upright
from curation.images.pixels import decode_pixels
from curation.images.resize import Side, resize_pixels, target_size
from schemas.outcomes import FailureReason, Outcome

_SMALL_BYTES = 65_536
_HEADROOM = 1.2
"""JPEGs are decoded at no less than this multiple of the size they are brought to: half a dB less than from a full
decode, for half of the codecs' time (docs/adr/0020)."""


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """What is asked of an image; `stages.fetch.decode.DecodeImagesConfig` says what each means."""

    side_px: int | None = 256
    resize: Side = "shortest"
    upscale: bool = False
    format: TargetFormat = "jpg"
    quality: int = 95
    formats: tuple[str, ...] = SUPPORTED
    min_side: int | None = None
    max_aspect: float | None = None
    max_pixels: int = 50_000_000
    max_frames: int = MAX_FRAMES


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no image: a broken rule (rejected) or a reason to fail, and the evidence."""

    outcome: Outcome
    reason: str
    detail: str | None = None


@dataclass(slots=True)
class Delivery:
    """What became of one body; what was not measured is None.

    Attributes:
        original_format: Of the body.
        original_size: Width and height of the body, upright, in pixels.
        image: The bytes that are delivered. None too where the body itself is, and has not been put here yet.
        size: Width and height of the image, in pixels.
        kept: Whether the image is the body.
        refusal: Why there is no image.
        seconds: Time it took.
    """

    original_format: str | None = None
    original_size: tuple[int, int] | None = None
    image: bytes | None = None
    size: tuple[int, int] | None = None
    kept: bool | None = None
    refusal: Refusal | None = None
    seconds: float | None = None


def deliver(body: bytes, settings: DeliverySettings) -> Delivery:
    """Makes a body into the image that is delivered, or says why it is none.

    Raises:
        MemoryError: There is not enough memory for it.
    """
    delivery = Delivery()
    try:
        header = _allowed_header(body, settings)
        delivery.original_format, delivery.original_size = header.format, header.upright_size
        delivery.refusal = _broken_bound(header, settings)
        if delivery.refusal is None:
            _deliver(body, header, settings, delivery)
    except ImageFailure as failure:
        delivery.refusal = Refusal(Outcome.FAILED, failure.reason, failure.detail)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        raise
    return delivery


def _allowed_header(body: bytes, settings: DeliverySettings) -> ImageHeader:
    found = image_format(body)
    if found not in settings.formats:
        raise unsupported(f"{found} is not among `formats`")
    return read_header(body)


def _broken_bound(header: ImageHeader, settings: DeliverySettings) -> Refusal | None:
    width, height = header.upright_size
    if header.pixels > settings.max_pixels:
        return _failure(FailureReason.TOO_MANY_PIXELS, f"{width} x {height} > {settings.max_pixels}")
    if header.frames > settings.max_frames:
        return _failure(FailureReason.TOO_MANY_FRAMES, f"{header.frames} > {settings.max_frames}")
    if settings.min_side is not None and min(width, height) < settings.min_side:
        return Refusal(Outcome.REJECTED, "min_side", f"{min(width, height)} < {settings.min_side}")
    aspect = max(width, height) / min(width, height)
    if settings.max_aspect is not None and aspect > settings.max_aspect:
        return Refusal(Outcome.REJECTED, "max_aspect", f"{aspect:.3f} > {settings.max_aspect}")
    return None


def _failure(reason: FailureReason, detail: str) -> Refusal:
    return Refusal(Outcome.FAILED, reason, detail)


def _deliver(body: bytes, header: ImageHeader, settings: DeliverySettings, delivery: Delivery) -> None:
    size = target_size(header.upright_size, settings.side_px, settings.resize, upscale=settings.upscale)
    stored_size = size[::-1] if header.orientation >= 5 else size
    stays = size == header.upright_size
    pixels = decode_pixels(body, header, _with_headroom(stored_size), spare_channel=not stays)
    delivery.kept = stays and _can_stay(body, header, settings)
    if not delivery.kept:
        pixels = upright(resize_pixels(pixels, stored_size), header.orientation)
        delivery.image = encode_pixels(pixels, settings.format, settings.quality)
    delivery.size = size


def _can_stay(body: bytes, header: ImageHeader, settings: DeliverySettings) -> bool:
    """Whether the body can be delivered as it came; one longer than its raw pixels carries something else, too."""
    fits = len(body) <= max(3 * header.pixels, _SMALL_BYTES)
    return header.plain and header.format == settings.format and fits


def _with_headroom(size: tuple[int, int]) -> tuple[int, int]:
    return ceil(size[0] * _HEADROOM), ceil(size[1] * _HEADROOM)
