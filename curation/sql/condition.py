"""A condition over the columns of one row, written as a polars SQL expression.

polars reads files and runs subqueries while it parses: `url IN (SELECT a FROM read_csv('...'))` opens the file. So the
text is taken apart first, and only what it can mean for a row alone is let through: columns, constants, operators and
the functions listed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from curation.errors import first_line

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<comment>--|/\*)
    |(?P<string>'(?:[^']|'')*')
    |(?P<name>"(?:[^"]|"")*")
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<word>[^\W\d]\w*)
    |(?P<operator><>|!=|<=|>=|==|!~\*|!~|~\*|~|\|\||::|[-+*/%=<>(),.])
    """,
    re.VERBOSE,
)

_FUNCTIONS = (
    "abs ceil ceiling floor round sign sqrt cbrt exp ln log log2 log10 log1p mod pow power div "
    "lower upper initcap length char_length character_length octet_length bit_length strpos position substr substring "
    "left right replace reverse starts_with ends_with ltrim rtrim trim concat concat_ws regexp_like "
    "coalesce nullif ifnull if greatest least try_cast extract date_part array_length array_contains"
)
"""Functions of the values of one row, which give the same result at any time."""

_BEFORE_PARENTHESIS = "and or not in when then else between like ilike rlike regexp is case"
"""Words that an opening parenthesis may follow and that are no functions."""

_MAY_PRECEDE_PARENTHESIS = frozenset((*_FUNCTIONS.split(), *_BEFORE_PARENTHESIS.split()))

_REFUSED = {
    **dict.fromkeys(("select", "with", "table", "values", "exists", "any", "all", "some"), "a subquery is not allowed"),
    **dict.fromkeys(("over", "qualify", "filter", "within"), "a condition sees one row at a time"),
    **dict.fromkeys(
        ("current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "now", "today"),
        "the result would depend on the time of the run",
    ),
    "cast": "it stops the run at the first value that does not fit; write TRY_CAST",
    "as": "a condition has no name of its own; did you mean a comparison?",
}


_BRANCHES = frozenset(("and", "or", "not", "case", "when", "("))
_MOST_BRANCHES = 100


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was found to be safe.

    Attributes:
        text: As it was written.
        columns: The columns that it reads, sorted.
        expression: The condition; its value is null where a null leaves it open.
    """

    text: str
    columns: tuple[str, ...]
    expression: pl.Expr


def parse_condition(text: str) -> Condition:
    """Reads a condition such as `clip_score >= 0.28 AND width / height < 3`.

    Raises:
        ValueError: It is no condition, or one that reads more than the columns of a row.
    """
    tokens = list(_tokens(text))
    if sum(word in _BRANCHES for _, word, _ in tokens) > _MOST_BRANCHES:
        raise ValueError(
            f"{text[:60]!r}… joins more than {_MOST_BRANCHES} parts, which would take minutes to check; "
            "use IN (…), or several rules"
        )
    _refuse_more_than_a_row(tokens)
    try:
        expression = pl.sql_expr(text)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{text!r} is no condition in polars SQL: {first_line(error)}") from error
    meta = expression.meta
    if meta.has_multiple_outputs() or not meta.eq(meta.undo_aliases()):
        raise ValueError(f"{text!r} is not one condition: write each comparison out and join them by AND or OR")
    columns = tuple(sorted(set(meta.root_names())))
    if not columns:
        raise ValueError(f"{text!r} reads no column, so it would treat every row alike")
    return Condition(text, columns, expression)


def check_types(condition: Condition, types: Mapping[str, pl.DataType]) -> None:
    """Tries a condition on a row of nulls and a row of small values.

    Args:
        condition: What to try.
        types: Of the condition's columns, at least.

    Raises:
        ValueError: It does not fit the types, or is neither true nor false.
    """
    samples = pl.DataFrame({name: _sample(name, types[name]) for name in condition.columns})
    try:
        result = samples.select(condition.expression.alias("result"))["result"]
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{condition.text!r} does not fit its columns: {first_line(error)}") from error
    if result.dtype != pl.Boolean:
        raise ValueError(f"{condition.text!r} gives a value of type {result.dtype}; a condition is true or false")


def _sample(name: str, dtype: pl.DataType) -> pl.Series:
    if dtype.is_numeric():
        return pl.Series(name, [None, 1]).cast(dtype)
    if dtype == pl.String:
        return pl.Series(name, [None, "a"], dtype)
    if dtype == pl.Boolean:
        return pl.Series(name, [None, True], dtype)
    return pl.Series(name, [None, None], dtype)


Token = tuple[str, str, int]
"""Kind, text in lower case, and place."""


def _tokens(text: str) -> Iterator[Token]:
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup == "comment":
            raise ValueError(f"{text!r} has a {text[place]!r} at character {place + 1} that no condition may have")
        if match.lastgroup != "space":
            yield str(match.lastgroup), match[0].lower(), place
        place = match.end()


def _refuse_more_than_a_row(tokens: list[Token]) -> None:
    for (_, before, _), (kind, word, place), (following_kind, following, following_place) in zip(
        [("", "", 0), *tokens], tokens, [*tokens[1:], ("", "", 0)], strict=False
    ):
        if word == "::":
            raise ValueError("`::` stops the run at the first value that does not fit; write TRY_CAST(... AS ...)")
        if kind != "word":
            continue
        if word in _REFUSED and not (word == "as" and _inside_try_cast(tokens, place)):
            raise ValueError(f"{word.upper()} at character {place + 1}: {_REFUSED[word]}")
        if word == "escape" and following_kind == "string":
            raise ValueError(
                f"ESCAPE at character {place + 1}: LIKE has no escape character here; to find % or _ as they are, "
                "write strpos(column, '%') > 0, or regexp_like(column, '...')"
            )
        if word == "from" and before == "(":
            raise ValueError(f"FROM at character {place + 1}: {_REFUSED['select']}")
        if following == "(" and word not in _MAY_PRECEDE_PARENTHESIS:
            raise ValueError(f"{word}() at character {place + 1} is none of the functions that conditions may use")
        if following_kind == "string" and following_place == place + len(word):
            raise ValueError(f"character {place + 1}: a text begins with a single quote and nothing before it")


def _inside_try_cast(tokens: list[Token], place: int) -> bool:
    """Whether the innermost open parenthesis before a place is that of TRY_CAST."""
    opened: list[str] = []
    before = ""
    for _, word, at in tokens:
        if at >= place:
            break
        if word == "(":
            opened.append(before)
        elif word == ")" and opened:
            opened.pop()
        before = word
    return bool(opened) and opened[-1] == "try_cast"
