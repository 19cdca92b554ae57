"""Any SQL over the ledger, and over nothing else."""

from __future__ import annotations

import re

import polars as pl

from curation.errors import RecipeError

# What reads files in a FROM. Refused wherever it stands, as a text or a comment too: comments and quotes can hide a
# call from any pattern that looks for one.
_READS_FILES = re.compile(r"(?<![a-z0-9_])(?:(?:read|scan)_[a-z]\w*|[a-z]+_scan)(?![a-z0-9_])", re.IGNORECASE)
# What makes rows or texts out of nothing, as many and as long as it is asked for; a loop that need not end.
_ENDLESS = re.compile(
    r"(?<![a-z0-9_])(?:generate_series|range|repeat|lpad|rpad)(?=[\"`\s]*(?:\(|/\*|--))|(?<![a-z0-9_])recursive(?![a-z0-9_])",
    re.IGNORECASE,
)
_SET_OPERATION = re.compile(r"(?<![a-z0-9_])(?:union|intersect|except)(?![a-z0-9_])", re.IGNORECASE)
_STATEMENT = re.compile(r"^[\s(]*(?:select|with|explain|from)\b", re.IGNORECASE)
_MAX_CHARS = 10_000
_MAX_SET_OPERATIONS = 50


def query(ledger: pl.LazyFrame, sql: str) -> pl.DataFrame:
    """The result of a SELECT over the table `ledger`, in polars' SQL.

    Raises:
        RecipeError: The statement is wrong, changes something, or reads a file.
    """
    _refuse_other_tables(sql)
    _refuse_bombs(sql)
    if not _STATEMENT.match(sql):
        raise RecipeError("the query must be a SELECT over the table `ledger`")
    try:
        with pl.SQLContext({"ledger": ledger}) as context:
            return context.execute(sql, eager=False).collect(engine="streaming")
    except (pl.exceptions.PolarsError, pl.exceptions.SQLInterfaceError) as error:
        # Behind it polars shows its plan, all columns of it.
        said = str(error).partition("\n\nResolved plan until failure")[0]
        raise RecipeError(f"the query cannot be run: {said}") from error


def _refuse_other_tables(sql: str) -> None:
    """polars opens the files of a table function while it parses, so this must come first."""
    if (function := _READS_FILES.search(sql)) is not None:
        raise RecipeError(f"the query may read the table `ledger` alone: {function[0]} is refused")


def _refuse_bombs(sql: str) -> None:
    """Statements of a few characters that would never end, or bring the process down."""
    if (function := _ENDLESS.search(sql)) is not None:
        raise RecipeError(f"the query may read the table `ledger` alone: {function[0]} makes up what might not end")
    if len(sql) > _MAX_CHARS:
        raise RecipeError(f"the query has {len(sql):,} characters; {_MAX_CHARS:,} are allowed")
    if len(_SET_OPERATION.findall(sql)) > _MAX_SET_OPERATIONS:
        raise RecipeError(f"the query has more than {_MAX_SET_OPERATIONS} UNION, INTERSECT or EXCEPT")
