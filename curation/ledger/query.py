"""Any SQL over the ledger, and over nothing else."""

from __future__ import annotations

import re

import polars as pl

from curation.errors import RecipeError

# Refused wherever it stands: comments and quotes can hide a call from any pattern that looks for one.
_TABLE_FUNCTION = re.compile(
    r"(?<![a-z0-9_])(?:read|scan)_(?:parquet|csv|ipc|json|ndjson|avro|delta|iceberg|lines)(?![a-z0-9_])", re.IGNORECASE
)
_STATEMENT = re.compile(r"^[\s(]*(?:select|with|explain|from)\b", re.IGNORECASE)


def query(ledger: pl.LazyFrame, sql: str) -> pl.DataFrame:
    """The result of a SELECT over the table `ledger`, in polars' SQL.

    Raises:
        RecipeError: The statement is wrong, changes something, or reads a file.
    """
    if (function := _TABLE_FUNCTION.search(sql)) is not None:
        raise RecipeError(f"the query may read the table `ledger` alone: {function[0]} is refused")
    if not _STATEMENT.match(sql):
        raise RecipeError("the query must be a SELECT over the table `ledger`")
    try:
        with pl.SQLContext({"ledger": ledger}) as context:
            return context.execute(sql, eager=False).collect(engine="streaming")
    except (pl.exceptions.PolarsError, pl.exceptions.SQLInterfaceError) as error:
        raise RecipeError(f"the query cannot be run: {error}") from error
