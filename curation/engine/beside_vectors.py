"""Vectors for exchanges: streamed out of the pool, with the scalars of each row looked up beside them.

A join would hold all vectors in memory, on whichever side they stand, while the scalars of all rows fit. So the scalars
are collected, and each batch of vectors finds its own among them by row.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl

from schemas.columns import COLUMNS


def is_vector(name: str) -> bool:
    """Whether a column is a registered one of vectors."""
    return name in COLUMNS and COLUMNS[name].is_vector


def beside_vectors(rows: pl.LazyFrame, vectors: pl.LazyFrame) -> pl.LazyFrame:
    """The vectors of the rows, and everything known of each, as a lazy frame that streams.

    Args:
        rows: `row` (Int64) and further columns; collected here.
        vectors: `row` and columns of vectors, of these rows and maybe of others.
    """
    known = rows.collect(engine="streaming").sort("row")
    mine = vectors.filter(_by_row(known, partial(_is_known, known["row"].to_numpy()), pl.Boolean()))
    looked_up = [
        _by_row(known, partial(_looked_up, known["row"].to_numpy(), known[name]), kind).alias(name)
        for name, kind in known.schema.items()
        if name != "row"
    ]
    return mine.with_columns(looked_up)


def _by_row(known: pl.DataFrame, function: partial[pl.Series], kind: pl.DataType) -> pl.Expr:
    if known.is_empty():
        return pl.lit(None, kind) if kind != pl.Boolean else pl.lit(False)
    return pl.col("row").map_batches(function, return_dtype=kind, is_elementwise=True)


def _is_known(known: np.ndarray, rows: pl.Series) -> pl.Series:
    wanted = rows.to_numpy()
    return pl.Series(known[_places(known, wanted)] == wanted)


def _looked_up(known: np.ndarray, values: pl.Series, rows: pl.Series) -> pl.Series:
    return values.gather(_places(known, rows.to_numpy()))


def _places(known: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(n,) int64: where each row lies among the known ones; anywhere, where it is not among them."""
    return np.minimum(np.searchsorted(known, rows), len(known) - 1)
