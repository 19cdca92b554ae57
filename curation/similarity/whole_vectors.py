"""Unit vectors in whole numbers, whose products every processor computes to the same bit.

A sum of floating-point products depends on its order, and with it on the processor, the number of threads and the shape
of the matrices. Whole numbers do not, as long as no sum leaves the 24 bits that a float32 holds exactly. A unit vector
times 4000, rounded, has a norm of at most 4096 (up to 36,000 dimensions), so by Cauchy and Schwarz no partial sum of a
product of two passes 2^24. Matrices of such numbers can be multiplied as float32 by any library and are exact.

What rounding moves: a cosine near 1 by about 1e-5, as much as the rounding of the embeddings to float16; one near 0 by
1e-4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from curation.errors import CurationError

SCALE = 4000
MAX_DIMENSIONS = 36_000
_FINE = 2.0**24
BATCH_ROWS = 8192

Whole: TypeAlias = npt.NDArray[np.int16]
"""(n, d) int16: unit vectors times `SCALE`, rounded."""


@dataclass(frozen=True, slots=True)
class VectorBatch:
    """Some rows that have a vector.

    Attributes:
        rows: (n,) int64.
        units: (n, d) float64, of length 1, in steps of 2^-24.
        vectors: (n, d) int16, the same in whole numbers.
    """

    rows: npt.NDArray[np.int64]
    units: npt.NDArray[np.float64]
    vectors: Whole


def unit_vectors(vectors: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Vectors of length 1 in steps of 2^-24, and which have a direction: those that are finite and not zero.

    The steps make products with vectors in whole numbers exact in float64, too.

    Args:
        vectors: (n, d) floating point, of any length.
    """
    exact = vectors.astype(np.float64)
    with np.errstate(all="ignore"):
        norms = np.sqrt(np.square(exact).sum(axis=1))
        usable = np.isfinite(norms) & (norms > 0)
        exact *= (_FINE / np.where(usable, norms, 1))[:, None]
    exact[~usable] = 0
    np.rint(exact, out=exact)
    exact /= _FINE
    return exact, usable


def whole_vectors(units: npt.NDArray[np.float64]) -> Whole:
    """Unit vectors in whole numbers."""
    return np.rint(units * SCALE).astype(np.int16)


def inverse_norms(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """One over the length of each vector in whole numbers: (n,) float32; 0 for a vector of zeros."""
    squares = np.einsum("nd,nd->n", vectors, vectors).astype(np.float64)
    inverse = np.divide(1, np.sqrt(squares), where=squares > 0, out=np.zeros(len(squares)))
    return np.asarray(inverse, np.float32)


def vector_batches(frame: pl.LazyFrame, column: str) -> Iterator[VectorBatch]:
    """Reads a column of vectors batch by batch, in no particular order, without rows that have none.

    Args:
        frame: `row` and the column, a list of floating-point numbers.
        column: Its name.

    Raises:
        CurationError: The column holds no vectors, or they are not all of one length, or longer than `MAX_DIMENSIONS`.
    """
    dtype = frame.select(column).collect_schema()[column]
    if not isinstance(dtype, pl.List) or not dtype.inner.is_numeric():
        raise CurationError(f"the column {column} is of type {dtype}, not a list of numbers; name a column of vectors")
    dimensions = None
    batches = frame.select("row", column).drop_nulls(column)
    for batch in batches.collect_batches(chunk_size=BATCH_ROWS, maintain_order=False, lazy=True):
        lengths = batch[column].list.len().unique().to_list()
        for length in lengths:
            dimensions = dimensions or length
            if length != dimensions or not 0 < length <= MAX_DIMENSIONS:
                raise CurationError(
                    f"the column {column} has vectors of {length} and of {dimensions} dimensions; they must all come "
                    f"from one model, and have from 1 to {MAX_DIMENSIONS} dimensions"
                )
        if not lengths:
            continue
        values = batch[column].explode(empty_as_null=False).to_arrow()
        units, usable = unit_vectors(np.asarray(values).reshape(len(batch), -1))
        rows = batch["row"].to_numpy()
        if not usable.all():
            rows, units = rows[usable], units[usable]
        yield VectorBatch(rows, units, whole_vectors(units))
