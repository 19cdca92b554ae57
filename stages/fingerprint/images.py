"""Stage `fingerprint`: what tells copies of an image apart from other images, to the eye."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from curation.contracts.config import StepConfig
from curation.contracts.marks import Mark, failed, with_marks
from curation.contracts.resources import Resources
from curation.contracts.stage import Stage, StageSpec
from curation.images.failures import ImageFailure
from curation.images.headers import read_header
from curation.images.pdq import inner_part, pdq_dihedral, pdq_hash
from curation.images.pixels import decode_pixels
from schemas.columns import COLUMNS, PDQ_DIHEDRAL

_INNER_SHARE = 0.97
"""Of width and height: between an image and its crops by up to a tenth of the area."""


class FingerprintConfig(StepConfig):
    """Settings of `fingerprint`.

    Attributes:
        inner_hash: Adds `pdq_inner`, by which `deduplicate` finds crops that the hash of the whole image misses.
        dihedral: Adds the hashes of the image turned by quarters and flipped, by which `deduplicate` finds such copies.
    """

    kind: Literal["fingerprint"] = "fingerprint"
    inner_hash: bool = False
    dihedral: bool = False


@dataclass(slots=True)
class _Hashes:
    whole: str | None = None
    inner: str | None = None
    quality: int | None = None
    dihedral: list[str | None] = field(default_factory=lambda: [None] * len(PDQ_DIHEDRAL))
    mark: Mark | None = None


class Fingerprint(Stage):
    """Takes the PDQ hash of the delivered image."""

    Config = FingerprintConfig

    def __init__(self, config: FingerprintConfig) -> None:
        super().__init__(config)
        self._settings = config

    @property
    def spec(self) -> StageSpec:
        """What the stage needs, and makes under its config."""
        return StageSpec(
            kind="fingerprint",
            version=2,
            requires=("image",),
            adds=(
                *("pdq", "pdq_quality"),
                *(("pdq_inner",) if self._settings.inner_hash else ()),
                *(PDQ_DIHEDRAL if self._settings.dihedral else ()),
            ),
            resources=Resources(cpus=1.0),
            rowwise=True,
            row_seconds=0.0025,
        )

    def process(self, table: pa.Table) -> pa.Table:
        """Adds the fingerprints of every row."""
        hashes = [self._hashes_of(value.as_py()) for value in table["image"]]
        columns: dict[str, list[str | None] | list[int | None]] = {
            "pdq": [item.whole for item in hashes],
            "pdq_quality": [item.quality for item in hashes],
            "pdq_inner": [item.inner for item in hashes],
        }
        for place, name in enumerate(PDQ_DIHEDRAL):
            columns[name] = [item.dihedral[place] for item in hashes]
        for name in self.spec.adds:
            table = table.append_column(COLUMNS[name].field, pa.array(columns[name], COLUMNS[name].type))
        marks = [item.mark for item in hashes]
        return with_marks(table, marks) if any(marks) else table

    def _hashes_of(self, image: bytes) -> _Hashes:
        try:
            pixels = decode_pixels(image, read_header(image))
        except ImageFailure as failure:
            return _Hashes(mark=failed(failure.reason, failure.detail))
        whole = pdq_hash(pixels)
        inner = pdq_hash(inner_part(pixels, _INNER_SHARE)).digits if self._settings.inner_hash else None
        hashes = _Hashes(whole.digits, inner, whole.quality)
        if self._settings.dihedral:
            hashes.dihedral = pdq_dihedral(pixels)
        return hashes
