"""Stage `fingerprint`: what tells copies of an image apart from other images, to the byte and to the eye."""

from __future__ import annotations

import hashlib
from typing import Literal

import pyarrow as pa

from curation.contracts.config import StepConfig
from curation.contracts.marks import Mark, failed, with_marks
from curation.contracts.resources import Resources
from curation.contracts.stage import Stage, StageSpec
from curation.images.failures import ImageFailure
from curation.images.headers import read_header
from curation.images.pdq import PdqHash, pdq_hash
from curation.images.pixels import decode_pixels
from schemas.columns import schema_of

_ADDS = ("sha256", "pdq", "pdq_quality")
_SCHEMA = schema_of(*_ADDS)


class FingerprintConfig(StepConfig):
    """Settings of `fingerprint`: none, so that the fingerprints of any two runs can be compared."""

    kind: Literal["fingerprint"] = "fingerprint"


class Fingerprint(Stage):
    """Takes the SHA-256 of the body and the PDQ hash of the delivered image."""

    Config = FingerprintConfig

    @property
    def spec(self) -> StageSpec:
        """What the stage needs and makes."""
        return StageSpec(
            kind="fingerprint",
            version=1,
            requires=("body", "image"),
            adds=_ADDS,
            resources=Resources(cpus=1.0),
            rowwise=True,
        )

    def process(self, table: pa.Table) -> pa.Table:
        """Adds the fingerprints of every row."""
        digests = [hashlib.sha256(value.as_buffer()).hexdigest() for value in table["body"]]
        hashes = [_perceptual_hash(value.as_py()) for value in table["image"]]
        columns = [
            digests,
            [found.digits if isinstance(found, PdqHash) else None for found in hashes],
            [found.quality if isinstance(found, PdqHash) else None for found in hashes],
        ]
        for field, values in zip(_SCHEMA, columns, strict=True):
            table = table.append_column(field, pa.array(values, field.type))
        marks = [None if isinstance(found, PdqHash) else found for found in hashes]
        return with_marks(table, marks) if any(marks) else table


def _perceptual_hash(image: bytes) -> PdqHash | Mark:
    try:
        return pdq_hash(decode_pixels(image, read_header(image)))
    except ImageFailure as failure:
        return failed(failure.reason, failure.detail)
