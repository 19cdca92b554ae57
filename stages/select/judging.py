"""What each form of a rule does to the rows that are alive: which it rejects, and by what evidence."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any

import polars as pl

from curation.key_draws import key_bits, purpose_seed, share_of_bits
from curation.selection.group_bounds import group_bounds
from curation.selection.last_kept import last_kept, outdone_by_key, worse
from curation.selection.order_statistics import order_statistic
from curation.sql.condition import parse_condition
from stages.select.rules import Rule

_QUOTED_CHARS = 80
_DRAWN = "_drawn"
_BOUND = ("rows", "cap", "last_figure", "last_key", "last_row")


def applied(rule: Rule, names: Sequence[str], frame: pl.LazyFrame, schema: pl.Schema, step: str) -> pl.LazyFrame:
    """Rejects the rows that break a rule.

    Args:
        rule: The rule.
        names: What the ledger calls its bounds.
        frame: `row`, `key`, the columns that the rules read, and `reason` and `detail`, null where a row is alive.
        schema: The types of the frame.
        step: Name of the step; draws of different steps are different ones.
    """
    if rule.where is not None:
        broken = ~parse_condition(rule.where).expression.fill_null(False)
        evidence = pl.concat_str([*_values(rule.columns, schema), pl.lit(f": not {rule.where}")])
        return rejected(frame, names[0], broken, evidence)
    for column in rule.columns:
        frame = rejected(frame, names[0], pl.col(column).is_null(), pl.lit(f"{column} is null"))
    if rule.max_per_group is not None:
        return _within_groups(rule, names[0], frame, schema, step)
    if rule.bounds:
        return _within_bounds(rule, names, frame, schema)
    return _among_the_best(rule, names[0], frame, schema)


def rejected(frame: pl.LazyFrame, name: str, broken: pl.Expr, detail: pl.Expr) -> pl.LazyFrame:
    """Gives the rows that are alive and break a bound its name as their reason."""
    now = pl.col("reason").is_null() & broken
    return frame.with_columns(
        reason=pl.when(now).then(pl.lit(name)).otherwise("reason"),
        detail=pl.when(now).then(detail).otherwise("detail"),
    )


def _alive(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.filter(pl.col("reason").is_null())


def _within_bounds(rule: Rule, names: Sequence[str], frame: pl.LazyFrame, schema: pl.Schema) -> pl.LazyFrame:
    column = str(rule.column)
    figure = pl.col(column)
    # Both quantiles are of the same rows, so they are found before either rejects any.
    given = [(setting, getattr(rule, setting)) for setting in rule.bounds]
    if rule.min is None and rule.max is None:
        found = [pl.lit(value).cast(schema[column]) for value in _quantiles(_alive(frame), column, given)]
        if not found:
            return frame
    else:
        found = [pl.lit(value) for _, value in given]
    for name, (setting, value), bound in zip(names, given, found, strict=True):
        least = setting.startswith("min")
        broken = figure < bound if least else figure > bound
        which = f", the quantile {value}" if setting.endswith("quantile") else ""
        shown = pl.format(f"{{}} {{}} {'<' if least else '>'} {{}}{which}", pl.lit(column), figure, bound)
        frame = rejected(frame, name, broken, shown)
    return frame


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


def _among_the_best(rule: Rule, name: str, frame: pl.LazyFrame, schema: pl.Schema) -> pl.LazyFrame:
    """Keeps exactly so many of the rows that are alive, without sorting any column."""
    column = str(rule.column)
    figure = pl.col(column)
    alive = _alive(frame)
    # Rows without a figure have just been rejected, and count for the fraction all the same.
    unmeasured = (pl.col("reason") == name) & figure.is_null()
    measured, lacking = (
        frame.select(pl.col("reason").is_null().sum(), unmeasured.sum().alias("lacking"))
        .collect(engine="streaming")
        .row(0)
    )
    if rule.top_rows is not None:
        wanted, what = rule.top_rows, f"top {rule.top_rows} rows"
    else:
        wanted, what = ceil(Fraction(str(rule.top_fraction)) * (measured + lacking)), f"top {rule.top_fraction}"
    room = min(wanted, measured)
    if room == measured:
        return frame
    last = last_kept(alive, column, room, measured)
    least = pl.lit(last.figure).cast(schema[column])
    below = pl.format(f"{{}} {{}} < {{}}, the least of the {what}", pl.lit(column), figure, least)
    frame = rejected(frame, name, worse(column, least), below)
    tied = pl.format(f"{{}} {{}} is the least of the {what}, taken by smaller keys", pl.lit(column), figure)
    return rejected(frame, name, outdone_by_key(column, least, pl.lit(last.key), pl.lit(last.row)), tied)


def _within_groups(rule: Rule, name: str, frame: pl.LazyFrame, schema: pl.Schema, step: str) -> pl.LazyFrame:
    """Keeps so many of the rows of each group."""
    cap = int(rule.max_per_group or 0)
    caps = _alive(frame).group_by(rule.by).len("rows").with_columns(cap=pl.lit(cap)).collect(engine="streaming")
    return best_of_groups(frame, name, rule.by, caps, rule.column, draw_seed=purpose_seed(f"{step}.{name}", rule.seed))


def best_of_groups(
    frame: pl.LazyFrame,
    name: str,
    by: Sequence[str],
    caps: pl.DataFrame,
    column: str | None,
    draw_seed: int,
) -> pl.LazyFrame:
    """Rejects the rows of each group for which there is no room.

    Args:
        frame: As in `applied`; the rows that are alive have a group and a figure.
        name: The rule.
        by: Columns that make a group.
        caps: `by`, `rows` and `cap` of each group.
        column: Rows with its largest values stay; None: those that are drawn.
        draw_seed: Of the draw.
    """
    largest = column is not None
    if column is None:
        column = _DRAWN
        frame = frame.with_columns(key_bits(draw_seed).alias(_DRAWN))
    bounds = group_bounds(_alive(frame), by, caps, column, largest=largest)
    joined = frame.join(
        bounds.rename({bound: f"_{bound}" for bound in _BOUND}).lazy(), on=list(by), how="left", maintain_order="none"
    )
    last = {bound: pl.col(f"_{bound}") for bound in _BOUND}
    where = pl.concat_str([pl.lit(", the last of "), last["cap"], pl.lit(" with "), *_values(by, None)])
    full = pl.col("_cap") == 0
    joined = rejected(joined, name, full, pl.concat_str([pl.lit("no room for "), *_values(by, None)]))
    shown = pl.format("{} {}", pl.lit(column), column) if largest else pl.format("draw {}", _share(pl.col(column)))
    figure = last["last_figure"] if largest else _share(last["last_figure"])
    sign = "<" if largest else ">"
    behind = pl.format(f"{{}} {sign} {{}}{{}}", shown, figure, where)
    joined = rejected(joined, name, worse(column, last["last_figure"], largest=largest), behind)
    tied = pl.format("{}{}, taken by smaller keys", shown, where)
    outdone = outdone_by_key(column, last["last_figure"], last["last_key"], last["last_row"])
    return rejected(joined, name, outdone, tied).drop([f"_{bound}" for bound in _BOUND], *([] if largest else [_DRAWN]))


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
