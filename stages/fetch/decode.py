"""Stage `decode_images`: from a body to an image of known size and format, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Literal

import pyarrow as pa
from pydantic import Field

from curation.contracts.config import StepConfig, Tuning
from curation.contracts.marks import Mark, failed, rejected, with_marks
from curation.contracts.pieces import uncopied, with_columns
from curation.contracts.resources import Resources
from curation.contracts.stage import Stage, StageSpec
from curation.images.decoder_pool import DecoderPool
from curation.images.decoder_process import DecoderSettings
from curation.images.delivery import Delivery, DeliverySettings, Refusal
from curation.images.encode import TargetFormat
from curation.images.formats import SUPPORTED
from curation.images.header import MAX_FRAMES
from curation.images.resize import Side
from schemas.columns import schema_of
from schemas.outcomes import FailureReason, Outcome

BodyFormat = Literal["jpg", "png", "gif", "webp", "bmp", "tiff", "avif"]

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
    "decode_s",
)
_SCHEMA = schema_of(*_ADDS)
_TYPES = _SCHEMA.types
_MAX_PIXELS = 89_000_000
"""Above, Pillow warns of decompression bombs, and twice that, refuses."""


class DecodeImagesConfig(StepConfig):
    """Settings of `decode_images`.

    Attributes:
        side_px: Length of the chosen side after resizing, None to keep every size.
        resize: The side that `side_px` is about. Images are only ever made smaller, unless `upscale`.
        upscale: Whether smaller images are enlarged.
        format: What images are delivered as.
        quality: Of JPEG and WebP.
        formats: What is decoded, by its first bytes. Anything else fails unread.
        min_side: Least length of the shorter side, before resizing, in pixels.
        max_aspect: Largest ratio of the longer side to the shorter.
        max_pixels: Larger images fail by their header, before anything is decoded.
        max_frames: Longer animations, and files of more pages, fail by their header. Of others, the first is decoded.
        decode_timeout_s: A file that takes longer, from header to encoded image, is given up. Waiting for a processor
            that others keep busy does not count.
        decode_memory_bytes: A file that takes more to decode is given up. A worker holds this for each process at most.
        processes: Images decoded at a time, each in a process of its own.
    """

    kind: Literal["decode_images"] = "decode_images"
    side_px: int | None = Field(256, ge=1, le=16_384)
    resize: Side = "shortest"
    upscale: bool = False
    format: TargetFormat = "jpg"
    quality: int = Field(95, ge=1, le=100)
    formats: tuple[BodyFormat, ...] = Field(SUPPORTED, min_length=1)
    min_side: int | None = Field(None, ge=1)
    max_aspect: float | None = Field(None, ge=1)
    max_pixels: int = Field(50_000_000, ge=1, le=_MAX_PIXELS)
    max_frames: int = Field(MAX_FRAMES, ge=1, le=MAX_FRAMES)
    decode_timeout_s: float = Field(20.0, gt=0)
    decode_memory_bytes: int = Field(1_500_000_000, ge=50_000_000)
    processes: Tuning[int] = Field(1, ge=1, le=64)


class DecodeImages(Stage):
    """Decodes every body to validate it, and brings what is valid to one size and format.

    The decoders run in processes of their own: a file that they die of fails with `decoder_crash`.
    """

    Config = DecodeImagesConfig
    decoder_module = "curation.images.decoder_child"

    def __init__(self, config: DecodeImagesConfig) -> None:
        super().__init__(config)
        self._settings = config
        self._pool: DecoderPool | None = None

    @property
    def spec(self) -> StageSpec:
        """What the stage needs and makes."""
        return StageSpec(
            kind="decode_images",
            version=3,
            requires=("body",),
            adds=_ADDS,
            resources=Resources(cpus=float(self._settings.processes)),
            rowwise=True,
            row_seconds=0.003,
        )

    def setup(self) -> None:
        """Starts the decoding processes, which get ready while others set up."""
        config = self._settings
        asked = DeliverySettings(**{field.name: getattr(config, field.name) for field in fields(DeliverySettings)})
        settings = DecoderSettings(asked, config.decode_timeout_s, config.decode_memory_bytes, self.decoder_module)
        self._pool = DecoderPool(settings, config.processes)
        self._pool.start()

    def close(self) -> None:
        """Ends the decoding processes."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def process(self, table: pa.Table) -> pa.Table:
        """Decodes the bodies of a table."""
        assert self._pool is not None, "setup() was not called"
        rows = self._pool.decode([memoryview(value.as_buffer()) for value in table["body"]])
        # Referred to where they lie: images are copied once more, into the file of the part.
        images = uncopied([row.image for row in rows])
        scalars = zip(_TYPES[1:], _columns_of(rows, self._settings.format), strict=True)
        columns = [images, *(pa.array(values, kind) for kind, values in scalars)]
        decoded = with_columns(table, list(_SCHEMA), columns)
        return with_marks(decoded, [row.refusal and _mark_of(row.refusal) for row in rows])


def _mark_of(refusal: Refusal) -> Mark:
    if refusal.outcome is Outcome.REJECTED:
        return rejected(refusal.reason, refusal.detail)
    return failed(FailureReason(refusal.reason), refusal.detail)


def _columns_of(rows: list[Delivery], target: str) -> Iterator[list[object]]:
    """All but the images."""
    sizes = [row.size or (None, None) for row in rows]
    originals = [row.original_size or (None, None) for row in rows]
    yield [None if row.image is None else target for row in rows]
    yield [None if row.image is None else len(row.image) for row in rows]
    yield [width for width, _ in sizes]
    yield [height for _, height in sizes]
    yield [row.original_format for row in rows]
    yield [width for width, _ in originals]
    yield [height for _, height in originals]
    yield [row.kept for row in rows]
    yield [row.seconds for row in rows]
