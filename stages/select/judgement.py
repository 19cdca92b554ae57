"""Which bound rejects each row, as a query that grows with the bounds, and what the ledger shows of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from curation.internal_columns import internal

HELD_BYTES = 384 * 2**20
"""Figures of the rows that are alive are held in memory if they take no more: else they are read whenever asked for."""
_BROKEN, _PLACE = internal("broken"), internal("place")
_VERDICTS = {"row": pl.Int64, "reason": pl.String, "detail": pl.String}


@dataclass(frozen=True, slots=True)
class _Bound:
    name: str
    broken: pl.Expr
    detail: pl.Expr


class Judgement:
    """Bounds in order: a row is rejected by the first that it breaks.

    The query never holds what a row is rejected for: which rows are alive is a filter over the columns that were given,
    and texts are made at the end, of rejected rows alone, each by its own bound.

    Attributes:
        frame: `row`, `key` and what the bounds read. Columns may be added as the bounds come, none be changed.
    """

    def __init__(self, frame: pl.LazyFrame) -> None:
        self.frame = frame
        self._bounds: list[_Bound] = []
        self._held: tuple[int, pl.DataFrame] | None = None

    def reject(self, name: str, broken: pl.Expr, detail: pl.Expr) -> None:
        """Adds a bound; a row for which `broken` is null does not break it."""
        self._bounds.append(_Bound(name, broken, detail))

    def alive(self) -> pl.LazyFrame:
        """The rows that no bound so far rejects, with all columns."""
        return _unbroken(self.frame, self._bounds)

    def hold(self, columns: Iterable[str], most_bytes: int = HELD_BYTES) -> None:
        """Reads numbers of the rows that are alive, if they are few: `figures` need not read the files again."""
        types = self.frame.collect_schema()
        names = [name for name in dict.fromkeys(["row", *columns]) if types[name].is_numeric()]
        if self._given_by_held(names) is not None:
            return
        some = pl.DataFrame(schema={name: types[name] for name in names}).clear(64)
        most = 64 * most_bytes // int(some.estimated_size())
        read = self.alive().select(names).head(most + 1).collect(engine="streaming")
        self._held = (len(self._bounds), read) if len(read) <= most else None

    def figures(self, column: str) -> pl.LazyFrame:
        """`row` and a column of the rows that are alive."""
        held = self._given_by_held(["row", column])
        return (self.alive() if held is None else held).select(list(dict.fromkeys(["row", column])))

    def _given_by_held(self, columns: list[str]) -> pl.LazyFrame | None:
        if self._held is None:
            return None
        count, held = self._held
        since = self._bounds[count:]
        read = {name for bound in since for name in bound.broken.meta.root_names()}
        return _unbroken(held.lazy(), since) if {*columns, *read} <= set(held.columns) else None

    def verdicts(self) -> pl.LazyFrame:
        """`row`, `reason` and `detail` of every row."""
        if not self._bounds:
            missing = pl.lit(None, pl.String)
            return self.frame.select("row", reason=missing, detail=missing)
        read = dict.fromkeys(name for bound in self._bounds for name in bound.detail.meta.root_names())
        numbered = pl.coalesce(
            pl.when(bound.broken).then(pl.lit(number, pl.UInt32)) for number, bound in enumerate(self._bounds)
        )
        frame = self.frame.select("row", *(name for name in read if name != "row"), numbered.alias(_BROKEN))
        types = {**_VERDICTS, "row": self.frame.collect_schema()["row"]}
        return frame.map_batches(self._told, schema=types, streamable=True)

    def _told(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Verdicts of some rows, in their order.

        Polars would evaluate every branch of a `when` for every row, so rows are parted by the bound that they break.
        """
        missing = pl.lit(None, pl.String)
        told = []
        for (number,), own in rows.with_row_index(_PLACE).partition_by(_BROKEN, as_dict=True).items():
            bound = None if number is None else self._bounds[number]
            reason, detail = (missing, missing) if bound is None else (pl.lit(bound.name), bound.detail)
            told.append(own.select(_PLACE, "row", reason=reason, detail=detail))
        if not told:
            return rows.select("row", reason=missing, detail=missing)
        return pl.concat(told).sort(_PLACE).drop(_PLACE)


def _unbroken(frame: pl.LazyFrame, bounds: list[_Bound]) -> pl.LazyFrame:
    if not bounds:
        return frame
    return frame.filter(pl.all_horizontal((~bound.broken).fill_null(True) for bound in bounds))
