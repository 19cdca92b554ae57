"""Any SQL over the ledger, and over nothing else."""

from __future__ import annotations

import re

import polars as pl

from curation.errors import RecipeError

_STRING = re.compile(r"'(?:[^']|'')*'")
_TABLE_FUNCTION = re.compile(r"\b(?:read|scan)_\w+\s*\(", re.IGNORECASE)
_STATEMENT = re.compile(r"^\s*(?:select|with|explain|from)\b", re.IGNORECASE)


def query(ledger: pl.LazyFrame, sql: str) -> pl.DataFrame:
    """The result of a SELECT over the table `ledger`, in polars' SQL.

    Raises:
        RecipeError: The statement is wrong, changes something, or reads a file.
    """
    bare = _STRING.sub("''", sql)
    if _TABLE_FUNCTION.search(bare):
        raise RecipeError("the query may read the table `ledger` alone: functions that read files are refused")
    if not _STATEMENT.match(bare):
        raise RecipeError("the query must be a SELECT over the table `ledger`")
    try:
        with pl.SQLContext({"ledger": ledger}) as context:
            return context.execute(sql, eager=False).collect(engine="streaming")
    except (pl.exceptions.PolarsError, pl.exceptions.SQLInterfaceError) as error:
        raise RecipeError(f"the query cannot be run: {error}") from error
