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


READERS = {"csv": pl.DataFrame.write_csv, "parquet": pl.DataFrame.write_parquet, "ipc": pl.DataFrame.write_ipc}
READERS |= {"json": pl.DataFrame.write_ndjson, "ndjson": pl.DataFrame.write_ndjson}


@pytest.fixture
def secret(tmp_path):
    """A file outside of the run, in every format that polars reads from SQL; `{}` takes the format."""
    for name, write in READERS.items():
        write(pl.DataFrame({"secret": [42]}), tmp_path / f"a.{name}")
    return f"{tmp_path}/a.{{}}"


@pytest.mark.parametrize("name", READERS)
def test_the_file_would_be_read_when_polars_had_its_way_so_that_what_follows_can_fail(secret, name):
    with pl.SQLContext({"ledger": LEDGER}) as context:
        sql = f"SELECT * FROM \"READ_{name}\"/* */('{secret.format(name)}')"
        assert context.execute(sql, eager=True).rows() == [(42,)]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "call",
    [
        "SELECT * FROM {read}('{path}')",
        "SELECT * FROM \"{read}\"('{path}')",
        "SELECT * FROM `{read}`('{path}')",
        "SELECT * FROM {read}/**/('{path}')",
        "SELECT * FROM\n\t{read}\n('{path}') AS t",
        "SELECT row FROM ledger -- '\nUNION ALL SELECT secret FROM {read}('{path}') -- '",
        "SELECT * FROM ledger WHERE row IN (SELECT secret FROM {read}('{path}'))",
        "SELECT * FROM ledger WHERE EXISTS (SELECT secret FROM {read}('{path}'))",
        "SELECT (SELECT secret FROM {read}('{path}')) FROM ledger",
        "WITH x AS (SELECT * FROM {read}('{path}')) SELECT * FROM x",
        "SELECT * FROM ledger, {read}('{path}')",
        "SELECT * FROM ledger JOIN {read}('{path}') ON TRUE",
        "SELECT * FROM (SELECT * FROM (SELECT * FROM {read}('{path}')))",
        "EXPLAIN SELECT * FROM {read}('{path}')",
        "FROM {read}('{path}')",
    ],
)
def test_no_file_is_read_when_a_query_names_a_function_that_does(secret, call, name):
    for read in (f"read_{name}", f"READ_{name}", f"Read_{name.title()}", f"scan_{name}", f"{name}_scan"):
        with pytest.raises(RecipeError, match=f"the query may read the table `ledger` alone: {read} is refused"):
            query(LEDGER, call.format(read=read, path=secret.format(name)))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM '{path}'",
        'SELECT * FROM "{path}"',
        "SELECT * FROM `{path}`",
        'SELECT * FROM ledger."{path}"',
        "SELECT * FROM read_csv_auto('{path}')",
        "SELECT * FROM read_blob('{path}')",
        "SELECT * FROM glob('{path}')",
        "SELECT * FROM U&\"re\\0061d_csv\"('{path}')",
        'SELECT * FROM "re" "ad_csv"(\'{path}\')',
        "SELECT * FROM re/**/ad_csv('{path}')",
        "SELECT * FROM TABLE(\"re\"'ad_csv'('{path}'))",
        "SELECT * INTO OUTFILE '{path}.out' FROM ledger",
        "SELECT * FROM ledger FORMAT CSV; COPY ledger TO '{path}.out'",
    ],
)
def test_no_file_is_read_or_written_when_a_query_names_one_in_another_way(secret, tmp_path, sql):
    there = sorted(tmp_path.iterdir())
    with pytest.raises(RecipeError):
        query(LEDGER, sql.format(path=secret.format("csv")))
    assert sorted(tmp_path.iterdir()) == there


def test_a_text_is_read_when_it_only_resembles_the_name_of_a_function():
    assert query(LEDGER, "SELECT row FROM ledger WHERE url = 'bread_crumbs.csv' OR url = 'b'").rows() == [(2,)]


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT count(*) FROM generate_series(1, 1000000000000)", "generate_series makes up"),
        ('SELECT count(*) FROM "RANGE"/**/(1, 1000000000000)', "RANGE makes up"),
        ("SELECT repeat(url, 2000000000) FROM ledger", "repeat makes up"),
        ("SELECT lpad(url, 9000000000, 'x') FROM ledger", "lpad makes up"),
        ("WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT * FROM t", "RECURSIVE makes up"),
        (" UNION ALL ".join(["SELECT * FROM ledger"] * 100), "more than 50 UNION"),
        ("SELECT " + "+".join(["row"] * 5000) + " FROM ledger", "19,999|20,0.. characters"),
        ("SELECT " + "(" * 4000 + "row" + ")" * 4000 + " FROM ledger", "recursion limit exceeded"),
    ],
)
def test_the_query_is_refused_when_it_would_not_end_or_kill_the_process(sql, why):
    with pytest.raises(RecipeError, match=why):
        query(LEDGER, sql)


def test_a_column_may_be_called_so_when_it_is_no_function():
    assert query(LEDGER, "SELECT row AS range FROM ledger ORDER BY range DESC LIMIT 1").rows() == [(3,)]


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


def test_plan_of_polars_is_not_shown_when_a_column_is_misspelt():
    with pytest.raises(RecipeError) as caught:
        query(pl.LazyFrame({"outcome": ["kept"]}), "SELECT outcme FROM ledger")
    said = str(caught.value)
    assert said.startswith('the query cannot be run: unable to find column "outcme"; valid columns: ["outcome"]')
    assert "FAILED HERE" not in said
