"""`select`: keeps the rows whose figures satisfy every rule."""

from __future__ import annotations

from typing import Literal

import polars as pl
import pyarrow as pa
from pydantic import Field, model_validator

from curation.contracts.config import StepConfig
from curation.contracts.exchange import Exchange, ExchangeSpec
from curation.errors import RecipeError
from curation.sql.condition import check_types, parse_condition
from schemas.columns import COLUMNS, Role
from stages.select.judgement import Judgement
from stages.select.judging import apply_rule
from stages.select.rules import Rule

_ALWAYS_GIVEN = ("row", "key")


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
        """Judges every row, one rule after the other.

        What holds of all rows at once (quantiles, top fractions, groups) is computed on the way: that reads the frame
        a few times for each such rule. The verdicts themselves are a lazy query over it.
        """
        schema = frame.collect_schema()
        floats = [name for name, dtype in schema.items() if dtype.is_float()]
        judged = Judgement(frame.with_columns(pl.col(floats).fill_nan(None)))
        for place, rule in enumerate(self.config.rules):
            _check_types(rule, schema, f"{self.config.step_name}.rules.{place}")
            if rule.is_global:
                judged.hold(column for later in self.config.rules[place:] for column in later.columns)
            apply_rule(rule, rule.names(place + 1), judged, schema, self.config.step_name)
        return judged.verdicts()


def _check_types(rule: Rule, types: pl.Schema, place: str) -> None:
    if rule.column is not None and not types[rule.column].is_numeric():
        raise RecipeError(f"{place}: {rule.column} is of type {types[rule.column]}, which has no order to select by")
    for column in rule.by:
        if types[column].is_nested() or types[column].is_float():
            raise RecipeError(f"{place}.by: {column} is of type {types[column]}, which makes no groups")
    if rule.where is not None:
        try:
            check_types(parse_condition(rule.where), types)
        except ValueError as error:
            raise RecipeError(f"{place}.where: {error}") from error
