"""SQL over the ledger, and over nothing else."""

import polars as pl
import pytest

from curation.errors import RecipeError
from curation.ledger.query import query

LEDGER = pl.LazyFrame({"row": [1, 2, 3], "outcome": ["kept", "failed", "kept"], "url": ["read_csv", "b", None]})


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT outcome, count(*) AS n FROM ledger GROUP BY outcome ORDER BY n", [("failed", 1), ("kept", 2)]),
        ("select max(row) from ledger", [(3,)]),
        ("  (select row from ledger where url is null)", [(3,)]),
        ("WITH k AS (SELECT * FROM ledger WHERE outcome = 'kept') SELECT row FROM k", [(1,), (3,)]),
        ("from ledger select row limit 1", [(1,)]),
        ("select row from ledger where outcome = 'it''s'", []),
    ],
)
def test_the_rows_come_back_when_it_is_a_select(sql, rows):
    assert query(LEDGER, sql).rows() == rows


@pytest.mark.parametrize(
    "call",
    [
        "SELECT * FROM read_csv('{path}')",
        "SELECT * FROM \"read_csv\"('{path}')",
        "SELECT * FROM read_csv/**/('{path}')",
        "SELECT * FROM read_parquet('{path}')",
        "SELECT row FROM ledger -- '\nUNION ALL SELECT secret FROM read_csv('{path}') -- '",
        "SELECT * FROM ledger WHERE row IN (SELECT secret FROM read_csv('{path}'))",
        "WITH x AS (SELECT * FROM read_json('{path}')) SELECT * FROM x",
    ],
)
def test_no_file_is_read_when_a_query_names_a_function_that_does(tmp_path, call):
    (tmp_path / "a.csv").write_text("secret\n42\n")
    with pytest.raises(RecipeError, match=r"the query may read the table `ledger` alone: read_\w+ is refused"):
        query(LEDGER, call.format(path=tmp_path / "a.csv"))


def test_no_file_is_read_when_its_function_is_written_in_capitals(tmp_path):
    (tmp_path / "a.csv").write_text("secret\n42\n")
    with pytest.raises(RecipeError, match="READ_CSV is refused"):
        query(LEDGER, f"SELECT * FROM READ_CSV('{tmp_path}/a.csv')")


@pytest.mark.parametrize(
    "sql", ["DROP TABLE ledger", "DELETE FROM ledger", "TRUNCATE TABLE ledger", "CREATE TABLE x AS SELECT 1", "", "x"]
)
def test_the_statement_is_refused_when_it_is_no_select(sql):
    with pytest.raises(RecipeError, match="the query must be a SELECT over the table `ledger`"):
        query(LEDGER, sql)


@pytest.mark.parametrize(
    "sql",
    ["SELECT missing FROM ledger", "SELECT * FROM other", "SELECT FROM WHERE", "SELECT 1; DROP TABLE ledger"],
)
def test_what_is_wrong_is_told_when_a_query_cannot_be_run(sql):
    with pytest.raises(RecipeError, match=r"the query cannot be run: .+"):
        query(LEDGER, sql)
