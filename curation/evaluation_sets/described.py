"""What is known of the images of an evaluation set: SHA-256, PDQ hash, copy descriptor."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq

from curation.errors import RecipeError
from curation.evaluation_sets.files import SetFiles
from curation.images.decoder_pool import DecoderPool
from curation.images.decoder_process import DecoderSettings
from curation.images.delivery import DeliverySettings
from curation.images.failures import ImageFailure
from curation.images.headers import read_header
from curation.images.pdq import pdq_hash
from curation.images.pixels import decode_pixels

logger = logging.getLogger(__name__)

_BATCH = 256
_TIMEOUT_S = 60.0
_MEMORY_BYTES = 2_000_000_000
_NAMES = ("path", "url", "key")
"""Columns of a table by which its images can be called, the first there is."""

Describe = Callable[[Sequence[bytes]], npt.NDArray[np.float32]]
"""From delivered images to (n, d) float32, one row for each; not finite where an image has none."""


@dataclass
class DescribedSet:
    """The images of a set, one for each place.

    Attributes:
        items: What each is called.
        sha256: Hexadecimal, of the file as it is; null where it is not known.
        pdq: Hexadecimal; null where it is not known or says little.
        vectors: (d,) of any length each, or null.
    """

    items: list[str] = field(default_factory=list)
    sha256: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.String))
    pdq: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.String))
    vectors: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.List(pl.Float32)))


def table_columns(files: SetFiles) -> set[str]:
    """Names of the columns that all tables of a set have.

    Raises:
        RecipeError: One cannot be read, or there is no row in any.
    """
    names: list[set[str]] = []
    rows = 0
    for path in files.paths:
        try:
            with files.file_system.open(path, "rb") as stream:
                metadata = pq.read_metadata(stream)
        except Exception as error:
            raise RecipeError(f"{path}: cannot be read: {error}; check that it is a Parquet file") from error
        names.append(set(metadata.schema.to_arrow_schema().names))
        rows += metadata.num_rows
    if not rows:
        raise RecipeError(f"{files.path}: its tables have no rows, so it would keep nothing out; correct `path`")
    return set.intersection(*names)


def read_tables(files: SetFiles, vector_column: str | None, min_quality: int) -> DescribedSet:
    """What tables say; hashes of images with a `pdq_quality` below the bound are left out.

    One whose quality is not known counts, as all do where there is no such column.

    Raises:
        RecipeError: A table cannot be read, or a column is not what it should be.
    """
    there = table_columns(files)
    name = next((column for column in _NAMES if column in there and column != vector_column), None)
    wanted = [column for column in ("sha256", "pdq", "pdq_quality", vector_column, name) if column in there]
    frames = []
    for path in files.paths:
        with files.file_system.open(path, "rb") as stream:
            frames.append(pl.DataFrame(pl.from_arrow(pq.read_table(stream, columns=wanted))))
    table = pl.concat(frames, how="vertical_relaxed")
    nothing = pl.Series([None] * len(table), dtype=pl.String)
    pdq = table["pdq"] if "pdq" in there else nothing
    if "pdq_quality" in there:
        too_dull = (pl.col("pdq_quality") < min_quality).fill_null(False)
        pdq = table.select(pl.when(~too_dull).then("pdq")).to_series()
    items = (
        table[name].cast(pl.String).fill_null("?").to_list() if name else [f"row {row}" for row in range(len(table))]
    )
    vectors = (
        table[vector_column] if vector_column in there else pl.Series([None] * len(table), dtype=pl.List(pl.Float32))
    )
    hashes = {"sha256": table["sha256"] if "sha256" in there else nothing, "pdq": pdq}
    for column, digits in hashes.items():
        wrong = (
            digits.cast(pl.String)
            .drop_nulls()
            .filter(~digits.cast(pl.String).drop_nulls().str.contains("^[0-9a-f]{64}$"))
        )
        if len(wrong):
            raise RecipeError(
                f"{files.path}: {wrong[0]!r} in its column {column} is not 64 digits from 0 to 9 and a to f"
            )
    return DescribedSet(items, hashes["sha256"].cast(pl.String), pdq.cast(pl.String), vectors)


def describe_images(
    files: SetFiles, delivery: DeliverySettings, processes: int, min_quality: int, describe: Describe | None
) -> DescribedSet:
    """Describes images as those of the rows are described: decoded, resized and encoded alike, then hashed.

    An image that cannot be decoded is known by its SHA-256 alone; a warning says how many there are.

    Args:
        files: Images or shards.
        delivery: As `decode_images` brings the images of the rows to their size.
        processes: Images decoded at a time.
        min_quality: PDQ hashes of a lower quality say too little.
        describe: The copy descriptor, if any.

    Raises:
        RecipeError: A file cannot be read.
    """
    described = DescribedSet()
    hashes: list[str] = []
    pdqs: list[str | None] = []
    unreadable: list[str] = []
    vectors: list[list[float] | None] = []
    pool = DecoderPool(DecoderSettings(delivery, _TIMEOUT_S, _MEMORY_BYTES), processes)
    try:
        for batch in _batches(files.bodies()):
            described.items += [name for name, _ in batch]
            hashes += [sha256(body).hexdigest() for _, body in batch]
            images = [row.image for row in pool.decode([memoryview(body) for _, body in batch])]
            unreadable += [name for (name, _), image in zip(batch, images, strict=True) if image is None]
            pdqs += [_pdq(image, min_quality) for image in images]
            vectors += _vectors(images, describe)
    finally:
        pool.close()
    described.sha256 = pl.Series(hashes, dtype=pl.String)
    described.pdq = pl.Series(pdqs, dtype=pl.String)
    described.vectors = pl.Series(vectors, dtype=pl.List(pl.Float32))
    if unreadable:
        logger.warning(
            "%s: %d of %d images cannot be decoded, such as %s: of copies of them, only the same bytes are found",
            *(files.path, len(unreadable), len(described.items), unreadable[0]),
        )
    dull = described.pdq.null_count() - len(unreadable)
    if dull:
        logger.warning(
            "%s: %d of %d images have too little detail for PDQ (quality below %d)",
            *(files.path, dull, len(described.items), min_quality),
        )
    return described


def _batches(bodies: Iterator[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    while batch := list(islice(bodies, _BATCH)):
        yield batch


def _pdq(image: bytes | None, min_quality: int) -> str | None:
    if image is None:
        return None
    try:
        found = pdq_hash(decode_pixels(image, read_header(image)))
    except ImageFailure:
        return None
    return found.digits if found.quality >= min_quality else None


def _vectors(images: Sequence[bytes | None], describe: Describe | None) -> list[list[float] | None]:
    there = [place for place, image in enumerate(images) if image is not None]
    vectors: list[list[float] | None] = [None] * len(images)
    if describe is not None and there:
        for place, vector in zip(there, describe([images[place] or b"" for place in there]), strict=True):
            vectors[place] = vector.tolist() if np.isfinite(vector).all() else None
    return vectors
