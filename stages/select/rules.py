"""One rule of `select`: its forms, what it reads and what the ledger calls it."""

from __future__ import annotations

import re

from pydantic import Field, field_validator, model_validator

from curation.contracts.config import Config
from curation.sql.condition import parse_condition

_FORMS = {
    ("min", "max"): "min, max or both",
    ("min_quantile", "max_quantile"): "min_quantile, max_quantile or both",
    ("top_fraction",): "top_fraction",
    ("top_rows",): "top_rows",
    ("max_per_group",): "max_per_group",
    ("where",): "where",
}


class Rule(Config):
    """One rule: a range, a part of the rows, so many of each group, or a condition.

    A row without the figure breaks the rule, and so does one without a group, or for which the condition is neither
    true nor false. Parts and groups are of the rows that the rules before have left.

    Attributes:
        name: Under which the ledger and the funnel show it; made of the column and the bound if not given.
        column: What the other settings look at. With `max_per_group` alone it may be left out.
        min: The least value that stays.
        max: The largest value that stays.
        min_quantile: The share of the figures, the smallest, that goes; a part of a row does not count. All that equal
            the smallest left stay.
        max_quantile: The share of the figures, the smallest, that stays; a part of a row counts as a whole one. All
            that equal the largest left stay.
        top_fraction: The share of the rows still alive that stays, those with the largest values; of equal values
            those with the smaller keys. A part of a row counts as a whole one.
        top_rows: How many rows stay, in the same order.
        max_per_group: How many rows of each group stay: those with the largest values of `column`, or drawn by chance
            without one.
        by: The columns whose values make a group.
        seed: Of the draw.
        where: The condition that a row must satisfy, in polars SQL.
    """

    name: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")
    column: str | None = None
    min: float | None = None
    max: float | None = None
    min_quantile: float | None = Field(default=None, gt=0.0, lt=1.0)
    max_quantile: float | None = Field(default=None, gt=0.0, lt=1.0)
    top_fraction: float | None = Field(default=None, gt=0.0, le=1.0)
    top_rows: int | None = Field(default=None, ge=1)
    max_per_group: int | None = Field(default=None, ge=1)
    by: tuple[str, ...] = ()
    seed: int = Field(default=0, ge=0, lt=2**63)
    where: str | None = None

    @field_validator("where")
    @classmethod
    def _is_a_condition(cls, where: str | None) -> str | None:
        if where is not None:
            parse_condition(where)
        return where

    @model_validator(mode="after")
    def _is_of_one_form(self) -> Rule:
        if sum(any(getattr(self, name) is not None for name in form) for form in _FORMS) != 1:
            raise ValueError(f"a rule has either {', or '.join(_FORMS.values())}")
        if self.where is not None and self.column is not None:
            raise ValueError("a rule with where has no column")
        if self.column is None and self.where is None and self.max_per_group is None:
            raise ValueError("a rule needs a column, or where")
        if bool(self.by) != (self.max_per_group is not None):
            raise ValueError("max_per_group and by belong together: so many rows of each group")
        return self

    @model_validator(mode="after")
    def _leaves_something(self) -> Rule:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is larger than max {self.max}, so no row could stay")
        if self.min_quantile is not None and self.max_quantile is not None and self.min_quantile >= self.max_quantile:
            raise ValueError(f"min_quantile {self.min_quantile} is not smaller than max_quantile {self.max_quantile}")
        if len(set(self.by)) < len(self.by):
            raise ValueError("by names a column twice")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rule reads."""
        if self.where is not None:
            return parse_condition(self.where).columns
        return tuple(dict.fromkeys([*self.by, *([self.column] if self.column else [])]))

    @property
    def bounds(self) -> tuple[str, ...]:
        """The settings that bound a figure from below or above, as given."""
        names = ("min", "max", "min_quantile", "max_quantile")
        return tuple(name for name in names if getattr(self, name) is not None)

    @property
    def is_global(self) -> bool:
        """Whether its bound on figures is found by looking at those of all rows."""
        settings = (self.min_quantile, self.max_quantile, self.top_fraction, self.top_rows)
        return any(setting is not None for setting in settings)

    def names(self, place: int) -> tuple[str, ...]:
        """What the ledger calls the rule's bounds; `place` counts the rules from 1."""
        if self.where is not None:
            return (self.name or f"where_{place}",)
        if self.max_per_group is not None:
            return (self.name or f"max_per_{_word('_'.join(self.by))}",)
        return tuple(self.name or f"{bound}_{_word(str(self.column))}" for bound in self.bounds or ("top",))


def _word(column: str) -> str:
    return re.sub(r"\W+", "_", column)
