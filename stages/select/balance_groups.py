"""`balance_groups`: evens out how many rows there are of each group, such as each cluster of pictures."""

from __future__ import annotations

from typing import Literal

import polars as pl
import pyarrow as pa
from pydantic import Field, model_validator

from curation.balancing.shares import shared_out
from curation.contracts.config import StepConfig
from curation.contracts.exchange import Exchange, ExchangeSpec
from curation.errors import RecipeError
from curation.key_draws import purpose_seed
from curation.selection.group_bounds import CAP, ROWS
from schemas.columns import COLUMNS, Role
from stages.select.judgement import Judgement
from stages.select.judging import keep_best_of_groups

_RULE = "over_quota"


class BalanceGroupsConfig(StepConfig):
    """What makes a group, and how many rows of each are kept.

    Attributes:
        by: The columns whose values make a group. A row without one of them is rejected.
        max_per_group: So many rows of each group are kept, or all if it has fewer.
        rows: So many rows are kept in all, shared out among the groups by `temperature`.
        temperature: The share of a group is in proportion to this power of its rows: 1 leaves the proportions, 0 gives
            each group as much, as far as it has that much.
        column: The rows of a group with the largest values are kept. None: those that are drawn by chance.
        seed: Of the draw.
    """

    kind: Literal["balance_groups"] = "balance_groups"
    by: tuple[str, ...] = Field(min_length=1)
    max_per_group: int | None = Field(default=None, ge=1)
    rows: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0.0, le=1.0)
    column: str | None = None
    seed: int = Field(default=0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _is_of_one_form(self) -> BalanceGroupsConfig:
        shared = self.rows is not None and self.temperature is not None
        if (self.rows is None) != (self.temperature is None) or shared == (self.max_per_group is not None):
            raise ValueError("give either max_per_group, or rows and temperature")
        if len(set(self.by)) < len(self.by):
            raise ValueError("by names a column twice")
        return self


class BalanceGroups(Exchange):
    """Keeps the best or the drawn rows of each group, and rejects the others."""

    Config = BalanceGroupsConfig
    config: BalanceGroupsConfig

    @property
    def spec(self) -> ExchangeSpec:
        """Reads what makes the groups, and the figures."""
        return ExchangeSpec("balance_groups", 1, tuple(name for name in self._columns if name not in ("row", "key")))

    def check(self) -> None:
        """Looks whether the columns can make groups and an order, as far as their types are known."""
        for column in self._columns:
            if column in COLUMNS and COLUMNS[column].role != Role.SCALAR:
                raise RecipeError(
                    f"{self.config.step_name}: rows cannot be balanced by {column} ({COLUMNS[column].meaning})"
                )
        known = pa.schema([COLUMNS[column].field for column in self._columns if column in COLUMNS])
        self._check_types(pl.DataFrame(pl.from_arrow(known.empty_table())).schema)

    def decide(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Counts the groups, then finds the last row that stays of each: see `group_bounds` for what that costs."""
        self._check_types(frame.collect_schema())
        by, column = self.config.by, self.config.column
        judged = Judgement(frame if column is None else frame.with_columns(pl.col(column).fill_nan(None)))
        for name in by:
            judged.reject("no_group", pl.col(name).is_null(), pl.lit(f"{name} is null"))
        if column is not None:
            judged.reject("no_figure", pl.col(column).is_null(), pl.lit(f"{column} is null"))
        groups = judged.alive().group_by(by).len(ROWS).collect(engine="streaming").sort(by)
        seed = purpose_seed(self.config.step_name, self.config.seed)
        caps = groups.with_columns(self._caps(groups[ROWS]).alias(CAP))
        keep_best_of_groups(judged, _RULE, by, caps, column, seed)
        return judged.verdicts()

    @property
    def _columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.config.by, *([self.config.column] if self.config.column else [])]))

    def _caps(self, rows: pl.Series) -> pl.Series:
        config = self.config
        if config.max_per_group is not None:
            return pl.select(pl.repeat(config.max_per_group, len(rows), dtype=pl.Int64)).to_series()
        counts = rows.cast(pl.Int64).to_numpy()
        return pl.Series(shared_out(counts, config.rows or 0, float(config.temperature or 0)), dtype=pl.Int64)

    def _check_types(self, types: pl.Schema) -> None:
        name = self.config.step_name
        for column in self.config.by:
            if column in types and (types[column].is_nested() or types[column].is_float()):
                raise RecipeError(f"{name}.by: {column} is of type {types[column]}, which makes no groups")
        column = self.config.column
        if column is not None and column in types and not types[column].is_numeric():
            raise RecipeError(f"{name}.column: {column} is of type {types[column]}, which has no order to choose by")
