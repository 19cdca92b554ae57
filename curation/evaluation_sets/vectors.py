"""Vectors that lie in tables, read batch by batch: a set may be larger than what fits into memory."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pyarrow.parquet as pq

from curation.errors import RecipeError
from curation.evaluation_sets.described import table_columns
from curation.evaluation_sets.files import SetFiles
from curation.similarity.whole_vectors import BATCH_ROWS, Whole, vector_batches


def check_vectors(files: SetFiles, column: str) -> None:
    """Whether all tables have a column.

    Raises:
        RecipeError: One has not, or cannot be read, or there is no row in any.
    """
    there = table_columns(files)
    if column not in there:
        raise RecipeError(f"{files.path} has no column {column}, but {', '.join(sorted(there))}")


def table_vectors(files: SetFiles, column: str) -> Iterator[Whole]:
    """The vectors of all tables, (n, d) int16 each time, without those that have no direction.

    Raises:
        CurationError: The column holds no vectors, or those of a table are not all of one length.
        RecipeError: There is no vector in any table.
    """
    found = False
    for path in files.paths:
        with files.file_system.open(path, "rb") as stream:
            for part in pq.ParquetFile(stream).iter_batches(BATCH_ROWS, columns=[column]):
                frame = pl.DataFrame(part).with_row_index("row")
                if isinstance(frame.schema[column], pl.Array):
                    frame = frame.with_columns(pl.col(column).arr.to_list())
                for batch in vector_batches(frame.lazy(), column):
                    found = found or len(batch.vectors) > 0
                    yield batch.vectors
    if not found:
        raise RecipeError(f"{files.path}: there is no vector in its column {column}")
