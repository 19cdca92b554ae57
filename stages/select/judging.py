"""What each form of a rule does to the rows that are alive: which it rejects, and by what evidence."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any

import polars as pl

from curation.internal_columns import internal
from curation.key_draws import key_bits, purpose_seed, share_of_bits
from curation.selection.group_bounds import CAP, LAST_FIGURE, LAST_KEY, LAST_ROW, ROWS, group_bounds
from curation.selection.last_kept import last_kept, outdone_by_key, worse
from curation.selection.order_statistics import order_statistic
from curation.sql.condition import parse_condition
from stages.select.judgement import Judgement
from stages.select.rules import Rule

_QUOTED_CHARS = 80
_BOUND = (ROWS, CAP, LAST_FIGURE, LAST_KEY, LAST_ROW)


def apply_rule(rule: Rule, names: Sequence[str], judged: Judgement, schema: pl.Schema, step: str) -> None:
    """Rejects the rows that break a rule.

    Args:
        rule: The rule.
        names: What the ledger calls its bounds.
        judged: What the rules before have rejected; it has `row`, `key` and the columns that the rules read.
        schema: The types of the columns.
        step: Name of the step; draws of different steps are different ones.
    """
    if rule.where is not None:
        broken = ~parse_condition(rule.where).expression.fill_null(False)
        judged.reject(names[0], broken, pl.concat_str([*_values(rule.columns, schema), pl.lit(f": not {rule.where}")]))
        return
    # Rows without a figure are rejected first, and count for a fraction all the same.
    before = judged.figures(rule.column) if rule.column else judged.alive()
    for column in rule.columns:
        judged.reject(names[0], pl.col(column).is_null(), pl.lit(f"{column} is null"))
    if rule.max_per_group is not None:
        _within_groups(rule, names[0], judged, step)
    elif rule.bounds:
        _within_bounds(rule, names, judged, schema)
    else:
        _among_the_best(rule, names[0], judged, before, schema)


def _within_bounds(rule: Rule, names: Sequence[str], judged: Judgement, schema: pl.Schema) -> None:
    column = str(rule.column)
    figure = pl.col(column)
    # Both quantiles are of the same rows, so they are found before either rejects any.
    given = [(setting, getattr(rule, setting)) for setting in rule.bounds]
    if rule.min is None and rule.max is None:
        found = [pl.lit(value).cast(schema[column]) for value in _quantiles(judged.figures(column), column, given)]
        if not found:
            return
    else:
        found = [pl.lit(value) for _, value in given]
    for name, (setting, value), bound in zip(names, given, found, strict=True):
        least = setting.startswith("min")
        broken = figure < bound if least else figure > bound
        which = f", the quantile {value}" if setting.endswith("quantile") else ""
        shown = pl.format(f"{{}} {{}} {'<' if least else '>'} {{}}{which}", pl.lit(column), figure, bound)
        judged.reject(name, broken, shown)


def _quantiles(alive: pl.LazyFrame, column: str, given: Sequence[tuple[str, float]]) -> list[Any]:
    """The least or largest figure that stays for each quantile; nothing where there is no figure."""
    measured = alive.select(pl.col(column).count()).collect(engine="streaming").item()
    if not measured:
        return []
    found = []
    for setting, share in given:
        # 0.07 of 100 figures are 7; in floating point they would be a little more.
        exact = Fraction(str(share)) * measured
        place = floor(exact) if setting == "min_quantile" else ceil(exact) - 1
        found.append(order_statistic(alive, column, place, measured).value)
    return found


def _among_the_best(rule: Rule, name: str, judged: Judgement, before: pl.LazyFrame, schema: pl.Schema) -> None:
    """Keeps exactly so many of the rows that are alive, without sorting any column."""
    column = str(rule.column)
    figure = pl.col(column)
    rows, measured = before.select(pl.len(), figure.count().alias("measured")).collect(engine="streaming").row(0)
    if rule.top_rows is not None:
        wanted, what = rule.top_rows, f"top {rule.top_rows} rows"
    else:
        wanted, what = ceil(Fraction(str(rule.top_fraction)) * rows), f"top {rule.top_fraction}"
    room = min(wanted, measured)
    if room == measured:
        return
    last = last_kept(judged.alive(), column, room, measured, figures=judged.figures(column))
    least = pl.lit(last.figure).cast(schema[column])
    below = pl.format(f"{{}} {{}} < {{}}, the least of the {what}", pl.lit(column), figure, least)
    judged.reject(name, worse(column, least), below)
    tied = pl.format(f"{{}} {{}} is the least of the {what}, taken by smaller keys", pl.lit(column), figure)
    judged.reject(name, outdone_by_key(column, least, pl.lit(last.key), pl.lit(last.row)), tied)


def _within_groups(rule: Rule, name: str, judged: Judgement, step: str) -> None:
    """Keeps so many of the rows of each group."""
    cap = int(rule.max_per_group or 0)
    caps = judged.alive().group_by(rule.by).len(ROWS).with_columns(pl.lit(cap).alias(CAP)).collect(engine="streaming")
    keep_best_of_groups(judged, name, rule.by, caps, rule.column, draw_seed=purpose_seed(f"{step}.{name}", rule.seed))


def keep_best_of_groups(
    judged: Judgement,
    name: str,
    by: Sequence[str],
    caps: pl.DataFrame,
    column: str | None,
    draw_seed: int,
) -> None:
    """Rejects the rows of each group for which there is no room.

    Args:
        judged: The rows that are alive have a group and a figure.
        name: The rule.
        by: Columns that make a group.
        caps: `by`, `ROWS` and `CAP` of each group.
        column: Rows with its largest values stay; None: those that are drawn.
        draw_seed: Of the draw.
    """
    largest = column is not None
    if column is None:
        column = internal(f"drawn_{name}")
        judged.frame = judged.frame.with_columns(key_bits(draw_seed).alias(column))
    bounds = group_bounds(judged.alive(), by, caps, column, largest=largest)
    beside = {bound: f"{bound}_{name}" for bound in _BOUND}
    judged.frame = judged.frame.join(bounds.rename(beside).lazy(), on=list(by), how="left", maintain_order="none")
    last = {bound: pl.col(column) for bound, column in beside.items()}
    where = pl.concat_str([pl.lit(", the last of "), last[CAP], pl.lit(" with "), *_values(by, None)])
    full = last[CAP] == 0
    judged.reject(name, full, pl.concat_str([pl.lit("no room for "), *_values(by, None)]))
    shown = pl.format("{} {}", pl.lit(column), column) if largest else pl.format("draw {}", _share(pl.col(column)))
    figure = last[LAST_FIGURE] if largest else _share(last[LAST_FIGURE])
    sign = "<" if largest else ">"
    behind = pl.format(f"{{}} {sign} {{}}{{}}", shown, figure, where)
    judged.reject(name, worse(column, last[LAST_FIGURE], largest=largest), behind)
    tied = pl.format("{}{}, taken by smaller keys", shown, where)
    judged.reject(name, outdone_by_key(column, last[LAST_FIGURE], last[LAST_KEY], last[LAST_ROW]), tied)


def _share(bits: pl.Expr) -> pl.Expr:
    return share_of_bits(bits).round(6)


def _values(columns: Sequence[str], schema: pl.Schema | None) -> list[pl.Expr]:
    """The parts of a text such as "clip_score=0.2, width=300"; lists are not spelled out, if the types are given."""
    parts: list[pl.Expr] = []
    for column in columns:
        nested = schema is not None and schema[column].is_nested()
        text = pl.lit("[...]") if nested else pl.col(column).cast(pl.String)
        parts += [pl.lit(f"{', ' if parts else ''}{column}="), text.fill_null("null").str.slice(0, _QUOTED_CHARS)]
    return parts
