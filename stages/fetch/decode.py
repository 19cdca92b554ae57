"""Stage `decode_images`: from a body to an image of known size and format, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from typing import Literal

import cv2
import pyarrow as pa
from pydantic import Field

from curation.contracts.config import StepConfig, Tuning
from curation.contracts.marks import Mark, failed, rejected, with_marks
from curation.contracts.resources import Resources
from curation.contracts.stage import Stage, StageSpec
from curation.images.encode import TargetFormat, encode_pixels
from curation.images.failures import ImageFailure
from curation.images.header import ImageHeader
from curation.images.headers import read_header
from curation.images.orient import upright
from curation.images.pixels import decode_pixels
from curation.images.resize import Side, resize_pixels, target_size
from schemas.columns import schema_of
from schemas.outcomes import FailureReason

_ADDS = (
    "image",
    "image_format",
    "image_bytes",
    "width",
    "height",
    "original_format",
    "original_width",
    "original_height",
    "original_kept",
)
_SCHEMA = schema_of(*_ADDS)
_MAX_PIXELS = 89_000_000
"""Above, Pillow warns of decompression bombs, and twice that, refuses."""
_SMALL_BYTES = 65_536
_HEADROOM = 1.5
"""JPEGs are decoded at no less than this multiple of the size they are brought to. At 1, resizing a little costs up
to 1 dB against a full decode; at 1.5 it is 0.2 dB, for a fifth of the time more."""


class DecodeImagesConfig(StepConfig):
    """Settings of `decode_images`.

    Attributes:
        side_px: Length of the chosen side after resizing, None to keep every size.
        resize: The side that `side_px` is about. Images are only ever made smaller, unless `upscale`.
        upscale: Whether smaller images are enlarged.
        format: What images are delivered as.
        quality: Of JPEG and WebP.
        min_side: Least length of the shorter side, before resizing, in pixels.
        max_aspect: Largest ratio of the longer side to the shorter.
        max_pixels: Larger images fail by their header, before anything is decoded.
        threads: Images decoded at a time.
    """

    kind: Literal["decode_images"] = "decode_images"
    side_px: int | None = Field(256, ge=1, le=16_384)
    resize: Side = "shortest"
    upscale: bool = False
    format: TargetFormat = "jpg"
    quality: int = Field(95, ge=1, le=100)
    min_side: int | None = Field(None, ge=1)
    max_aspect: float | None = Field(None, ge=1)
    max_pixels: int = Field(50_000_000, ge=1, le=_MAX_PIXELS)
    threads: Tuning[int] = Field(1, ge=1, le=64)


@dataclass(slots=True)
class _Decoded:
    """What became of one body; what was not measured is None."""

    header: ImageHeader | None = None
    image: bytes | None = None
    size: tuple[int, int] | None = None
    kept: bool | None = None
    mark: Mark | None = None


class DecodeImages(Stage):
    """Decodes every body to validate it, and brings what is valid to one size and format."""

    Config = DecodeImagesConfig

    def __init__(self, config: DecodeImagesConfig) -> None:
        super().__init__(config)
        self._settings = config
        self._pool: ThreadPoolExecutor | None = None

    @property
    def spec(self) -> StageSpec:
        """What the stage needs and makes."""
        return StageSpec(
            kind="decode_images",
            version=1,
            requires=("body",),
            adds=_ADDS,
            resources=Resources(cpus=float(self._settings.threads)),
            rowwise=True,
        )

    def setup(self) -> None:
        """Starts the threads, if more than one is asked for."""
        cv2.setNumThreads(1)
        if self._settings.threads > 1:
            self._pool = ThreadPoolExecutor(self._settings.threads, thread_name_prefix="decode")

    def close(self) -> None:
        """Ends the threads."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def process(self, table: pa.Table) -> pa.Table:
        """Decodes the bodies of a table."""
        bodies = (value.as_py() for value in table["body"])
        rows = list(map(self._decode, bodies) if self._pool is None else self._pool.map(self._decode, bodies))
        for field, values in zip(_SCHEMA, _columns_of(rows, self._settings.format), strict=True):
            table = table.append_column(field, pa.array(values, field.type))
        return with_marks(table, [row.mark for row in rows])

    def _decode(self, body: bytes) -> _Decoded:
        row = _Decoded()
        try:
            row.header = read_header(body)
            row.mark = self._broken_rule(row.header)
            if row.mark is None:
                self._deliver(body, row.header, row)
        except ImageFailure as failure:
            row.mark = failed(failure.reason, failure.detail)
        return row

    def _broken_rule(self, header: ImageHeader) -> Mark | None:
        config = self._settings
        width, height = header.upright_size
        if header.pixels > config.max_pixels:
            raise ImageFailure(FailureReason.TOO_MANY_PIXELS, f"{width} x {height} > {config.max_pixels}")
        if config.min_side is not None and min(width, height) < config.min_side:
            return rejected("min_side", f"{min(width, height)} < {config.min_side}")
        aspect = max(width, height) / min(width, height)
        if config.max_aspect is not None and aspect > config.max_aspect:
            return rejected("max_aspect", f"{aspect:.3f} > {config.max_aspect}")
        return None

    def _deliver(self, body: bytes, header: ImageHeader, row: _Decoded) -> None:
        config = self._settings
        size = target_size(header.upright_size, config.side_px, config.resize, upscale=config.upscale)
        stored_size = size[::-1] if header.orientation >= 5 else size
        pixels = decode_pixels(body, header, _with_headroom(stored_size))
        row.kept = size == header.upright_size and self._can_stay(body, header)
        if row.kept:
            row.image = body
        else:
            pixels = upright(resize_pixels(pixels, stored_size), header.orientation)
            row.image = encode_pixels(pixels, config.format, config.quality)
        row.size = size

    def _can_stay(self, body: bytes, header: ImageHeader) -> bool:
        """Whether the body can be delivered as it came; one longer than its raw pixels carries something else, too."""
        fits = len(body) <= max(3 * header.pixels, _SMALL_BYTES)
        return header.plain and header.format == self._settings.format and fits


def _with_headroom(size: tuple[int, int]) -> tuple[int, int]:
    return ceil(size[0] * _HEADROOM), ceil(size[1] * _HEADROOM)


def _columns_of(rows: list[_Decoded], target: str) -> Iterator[list[object]]:
    headers = [row.header for row in rows]
    sizes = [row.size or (None, None) for row in rows]
    originals = [header.upright_size if header else (None, None) for header in headers]
    yield [row.image for row in rows]
    yield [None if row.image is None else target for row in rows]
    yield [None if row.image is None else len(row.image) for row in rows]
    yield [width for width, _ in sizes]
    yield [height for _, height in sizes]
    yield [header.format if header else None for header in headers]
    yield [width for width, _ in originals]
    yield [height for _, height in originals]
    yield [row.kept for row in rows]
