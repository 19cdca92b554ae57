from pathlib import Path

import polars as pl
import pytest

from curation.sql.condition import check_types, parse_condition

ROWS = pl.DataFrame(
    {
        "score": [0.1, 0.3, None],
        "width": [100, 400, 300],
        "height": [100, 100, 100],
        "text": ["a dog", "it's SELECT", None],
        "language": ["en", "de", None],
        "odd name": [1, 2, 3],
        "escape": [1, 2, 3],
    }
)


@pytest.mark.parametrize(
    ("text", "columns", "values"),
    [
        ("score >= 0.3", ("score",), [False, True, None]),
        ("score >= 0.3 AND width / height < 4.5", ("height", "score", "width"), [False, True, None]),
        ("NOT (score < 0.2) OR score IS NULL", ("score",), [False, True, True]),
        ("language IN ('en', 'fr')", ("language",), [True, False, None]),
        ("language = 'en'", ("language",), [True, False, None]),
        ("width BETWEEN 100 AND 300", ("width",), [True, False, True]),
        ("text LIKE '%SELECT%'", ("text",), [False, True, None]),
        ("text = 'it''s SELECT'", ("text",), [False, True, None]),
        ("text ~ '^a\\s'", ("text",), [True, False, None]),
        ("LENGTH(text) > 5", ("text",), [False, True, None]),
        ("coalesce(score, 0) > greatest(0.2, width / 4000)", ("score", "width"), [False, True, False]),
        ("CASE WHEN width > 200 THEN score > 0.2 ELSE TRUE END", ("score", "width"), [True, True, None]),
        ('"odd name" % 2 = 1', ("odd name",), [True, False, True]),
        ("try_cast(text AS INT) IS NULL", ("text",), [True, True, True]),
        ("language IS DISTINCT FROM 'en'", ("language",), [False, True, True]),
        ("width = 1e2", ("width",), [True, False, False]),
        ("strpos(text, '''') > 0", ("text",), [False, True, False]),
        ("regexp_like(text, '^a dog$')", ("text",), [True, False, None]),
        ("escape > 2", ("escape",), [False, False, True]),
        ("(width > 1) = (height > 1)", ("height", "width"), [True, True, True]),
    ],
)
def test_condition_is_evaluated_row_by_row_when_parsed(text: str, columns: tuple[str, ...], values: list[bool]) -> None:
    condition = parse_condition(text)
    assert condition.columns == columns
    assert ROWS.lazy().select(condition.expression.alias("x")).collect()["x"].to_list() == values
    check_types(condition, ROWS.schema)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("score > (SELECT 1)", "SELECT at character 10: a subquery is not allowed"),
        ("text in(table x)", "TABLE at character 9: a subquery"),
        ("text in (FROM x)", "FROM at character 10: a subquery"),
        ("text in (values ('a'))", "VALUES at character 10: a subquery"),
        ("text = ANY ('a')", "ANY at character 8"),
        ("sum(score) OVER (ORDER BY width) > 1", "sum\\(\\) at character 1 is none of the functions"),
        ("score > AVG(score)", "avg\\(\\) at character 9 is none of the functions"),
        ("count(*) > 1", "count\\(\\)"),
        ("read_csv('x') = 1", "read_csv\\(\\)"),
        ("read_csv ('x') = 1", "read_csv\\(\\)"),
        ("random() < 0.5", "random\\(\\)"),
        ("now() > text", "depend on the time"),
        ("current_date > text", "depend on the time"),
        ("CAST(text AS INT) > 1", "CAST at character 1: .* write TRY_CAST"),
        ("text::int > 1", "write TRY_CAST"),
        ("score > 1; drop table x", "has a ';' at character 10"),
        ("score > 1 -- more", "has a '-' at character 11"),
        ("score > 1 /* more */", "has a '/' at character 11"),
        ("score > $1", "has a '\\$'"),
        ("text = E'\\' OR text IN (SELECT 1) OR text = '", "SELECT|has a|nothing before it"),
        ("text = E'a'", "nothing before it"),
        ("text = 'open", 'has a "\'" at character 8'),
        ("text = `b`", "has a '`'"),
        ("score > 1 AS x", "AS at character 11"),
        ("text LIKE 'a!%' ESCAPE '!'", r"ESCAPE at character 17: LIKE has no escape character here; .*strpos\("),
        ("text NOT LIKE 'a' escape'!'", "ESCAPE at character 19"),
        ("text LIKE 'a' ESCAPE ('!')", r"escape\(\) at character 15 is none of the functions"),
        ("score > 1 x", "is not one condition"),
        ("distinct score", "is not one condition"),
        ("*", "is no condition"),
        ("columns('a.*')", "columns\\(\\)"),
        ("1 = 1", "reads no column"),
        ("", "is no condition"),
        ("score >", "is no condition"),
        ("select score", "SELECT at character 1"),
        (" AND ".join(["score > 0"] * 102), "joins more than 100 parts"),
        ("(" * 101 + "score > 0" + ")" * 101, "joins more than 100 parts"),
    ],
)
def test_condition_is_refused_when_it_is_more_than_a_condition_on_a_row(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_condition(text)


def test_no_file_is_opened_when_a_condition_names_one(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    for text in (
        f"text IN (SELECT a FROM read_csv('{tmp_path}/x.csv'))",
        f"text IN (FROM read_csv('{tmp_path}/x.csv'))",
        f"text IN (TABLE read_csv('{tmp_path}/x.csv'))",
    ):
        with pytest.raises(ValueError, match=r"subquery"):
            parse_condition(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("score + 1", "gives a value of type Float64; a condition is true or false"),
        ("text > 1", "does not fit its columns: cannot compare string with numeric"),
        ("text ~ '('", "does not fit its columns: regex error"),
    ],
)
def test_types_are_refused_when_the_condition_cannot_use_them(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_types(parse_condition(text), ROWS.schema)
