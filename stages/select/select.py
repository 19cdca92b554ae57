"""`select`: keeps the rows whose figures satisfy every rule."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from typing import Literal

import polars as pl
import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from curation.contracts.config import Config, StepConfig
from curation.contracts.exchange import Exchange, ExchangeSpec
from curation.errors import RecipeError
from curation.sql.condition import check_types, parse_condition
from schemas.columns import COLUMNS, Role

_QUOTED_CHARS = 80
_ALWAYS_GIVEN = ("row", "key")


class Rule(Config):
    """One rule: a range or a top fraction of one column, or a condition over any.

    A row without the figure breaks the rule, and so does one for which the condition is neither true nor false.

    Attributes:
        name: Under which the ledger and the funnel show it; made of the column and the bound if not given.
        column: What `min`, `max` and `top_fraction` look at.
        min: The least value that stays.
        max: The largest value that stays.
        top_fraction: The share of the rows still alive that stays, those with the largest values; of equal values
            those with the smaller keys. A part of a row counts as a whole one.
        where: The condition that a row must satisfy, in polars SQL.
    """

    name: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")
    column: str | None = None
    min: float | None = None
    max: float | None = None
    top_fraction: float | None = Field(default=None, gt=0.0, le=1.0)
    where: str | None = None

    @field_validator("where")
    @classmethod
    def _is_a_condition(cls, where: str | None) -> str | None:
        if where is not None:
            parse_condition(where)
        return where

    @model_validator(mode="after")
    def _is_of_one_form(self) -> Rule:
        bounded = self.min is not None or self.max is not None
        forms = bounded + (self.top_fraction is not None) + (self.where is not None)
        if forms != 1:
            raise ValueError("a rule has either min, max or both, or top_fraction, or where")
        if (self.column is None) == (self.where is None):
            raise ValueError("a rule with where has no column" if self.where else "a rule needs a column, or where")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is larger than max {self.max}, so no row could stay")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rule reads."""
        return parse_condition(self.where).columns if self.where else (str(self.column),)

    def names(self, place: int) -> tuple[str, ...]:
        """What the ledger calls the rule's bounds; `place` counts the rules from 1."""
        if self.where is not None:
            return (self.name or f"where_{place}",)
        column = re.sub(r"\W+", "_", str(self.column))
        bounds = [bound for bound in ("min", "max") if getattr(self, bound) is not None] or ["top"]
        return tuple(self.name or f"{bound}_{column}" for bound in bounds)


class SelectConfig(StepConfig):
    """The rules, in the order in which they are applied: a row is rejected by the first that it breaks."""

    kind: Literal["select"] = "select"
    rules: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> SelectConfig:
        taken: set[str] = set()
        for place, rule in enumerate(self.rules, 1):
            names = set(rule.names(place))
            if names & taken:
                raise ValueError(f"two rules are called {min(names & taken)!r}: give one of them a name")
            taken |= names
        return self


class Select(Exchange):
    """Rejects each row by the first rule that it breaks."""

    Config = SelectConfig
    config: SelectConfig

    @property
    def spec(self) -> ExchangeSpec:
        """Reads the columns that its rules name."""
        columns = dict.fromkeys(column for rule in self.config.rules for column in rule.columns)
        return ExchangeSpec("select", 1, tuple(column for column in columns if column not in _ALWAYS_GIVEN))

    def check(self) -> None:
        """Tries every rule on the types of its columns, as far as they are known before the start."""
        for place, rule in enumerate(self.config.rules):
            where = f"{self.config.step_name}.rules.{place}"
            for column in rule.columns:
                if column in COLUMNS and COLUMNS[column].role != Role.SCALAR:
                    raise RecipeError(f"{where}: rows cannot be selected by {column} ({COLUMNS[column].meaning})")
            if all(column in COLUMNS for column in rule.columns):
                fields = pa.schema([COLUMNS[column].field for column in rule.columns])
                _check_types(rule, pl.DataFrame(pl.from_arrow(fields.empty_table())).schema, where)

    def decide(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Judges every row. Top fractions are computed on the way, so this reads the frame once for each."""
        schema = frame.collect_schema()
        floats = [name for name, dtype in schema.items() if dtype.is_float()]
        missing = pl.lit(None, pl.String)
        frame = frame.with_columns(pl.col(floats).fill_nan(None)).with_columns(reason=missing, detail=missing)
        for place, rule in enumerate(self.config.rules):
            _check_types(rule, schema, f"{self.config.step_name}.rules.{place}")
            for name, broken, detail in _judgements(rule, place + 1, frame, schema):
                now = pl.col("reason").is_null() & broken
                frame = frame.with_columns(
                    reason=pl.when(now).then(pl.lit(name)).otherwise("reason"),
                    detail=pl.when(now).then(detail).otherwise("detail"),
                )
        return frame.select("row", "reason", "detail")


def _check_types(rule: Rule, types: pl.Schema, place: str) -> None:
    if rule.column is not None and not types[rule.column].is_numeric():
        raise RecipeError(f"{place}: {rule.column} is of type {types[rule.column]}, which has no order to select by")
    if rule.where is not None:
        try:
            check_types(parse_condition(rule.where), types)
        except ValueError as error:
            raise RecipeError(f"{place}.where: {error}") from error


Judgement = tuple[str, pl.Expr, pl.Expr]
"""The name of a bound, whether a row breaks it, and the evidence."""


def _judgements(rule: Rule, place: int, frame: pl.LazyFrame, schema: pl.Schema) -> Iterator[Judgement]:
    names = rule.names(place)
    if rule.where is not None:
        broken = ~parse_condition(rule.where).expression.fill_null(False)
        yield names[0], broken, pl.concat_str([*_values(rule.columns, schema), pl.lit(f": not {rule.where}")])
        return
    figure = pl.col(str(rule.column))
    yield names[0], figure.is_null(), pl.lit(f"{rule.column} is null")
    if rule.top_fraction is not None:
        yield from _outside_top(rule, names[0], frame)
        return
    bounds = [(bound, sign) for bound, sign in ((rule.min, "<"), (rule.max, ">")) if bound is not None]
    for name, (bound, sign) in zip(names, bounds, strict=True):
        broken = figure < bound if sign == "<" else figure > bound
        yield name, broken, pl.format(f"{{}} {{}} {sign} {bound}", pl.lit(rule.column), figure)


def _outside_top(rule: Rule, name: str, frame: pl.LazyFrame) -> Iterator[Judgement]:
    """Yields what keeps exactly the top fraction of the rows that are alive, without sorting more than one column."""
    column, fraction = str(rule.column), rule.top_fraction
    figure = pl.col(column)
    alive = frame.filter(pl.col("reason").is_null())
    rows, measured = alive.select(pl.len(), figure.count().alias("measured")).collect(engine="streaming").row(0)
    # 0.07 of 100 rows are 7; in floating point they would be a little more, and so 8.
    room = min(ceil(Fraction(str(fraction)) * rows), measured)
    if not room:
        return
    by_figure = alive.select(column).drop_nulls().sort(column, descending=True)
    least = by_figure.slice(room - 1, 1).collect(engine="streaming").item()
    above = alive.filter(figure > least).select(pl.len()).collect(engine="streaming").item()
    ties = alive.filter(figure == least).select("key", "row").sort("key", "row")
    last_key, last_row = ties.slice(room - above - 1, 1).collect(engine="streaming").row(0)
    yield (
        name,
        figure < least,
        pl.format(f"{{}} {{}} < {{}}, the least of the top {fraction}", pl.lit(column), figure, least),
    )
    later = (pl.col("key") > last_key) | ((pl.col("key") == last_key) & (pl.col("row") > last_row))
    tied = pl.format(f"{{}} {{}} is the least of the top {fraction}, taken by smaller keys", pl.lit(column), figure)
    yield name, (figure == least) & later, tied


def _values(columns: tuple[str, ...], schema: pl.Schema) -> list[pl.Expr]:
    """The parts of a text such as "clip_score=0.2, width=300"."""
    parts: list[pl.Expr] = []
    for column in columns:
        text = pl.lit("[...]") if schema[column].is_nested() else pl.col(column).cast(pl.String)
        parts += [pl.lit(f"{', ' if parts else ''}{column}="), text.fill_null("null").str.slice(0, _QUOTED_CHARS)]
    return parts
