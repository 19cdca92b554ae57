"""Decides about groups of rows without holding the rows that stand alone."""

from __future__ import annotations

import polars as pl

from curation.contracts.exchange import GroupingExchange, Partitions
from curation.similarity.equals import hashed, rows_that_share
from schemas.columns import nullable_schema_of


def decide_on_groups(exchange: GroupingExchange, frame: pl.LazyFrame, partitions: Partitions) -> pl.LazyFrame:
    """The verdicts of `exchange.decide(frame)`, in another order of rows.

    Rows whose value no other row has in any of the exchange's ties, found by hashes of the values and partition by
    partition, are kept; the exchange decides on all others. Where two values have one hash by chance, it has a few rows
    more to look at.

    Args:
        exchange: What decides.
        frame: As of `decide`; scanned several times.
        partitions: Where the work is done.
    """
    together = [exchange.tied_otherwise(frame)]
    for tie in exchange.ties:
        values = frame.select("row", value=hashed(tie)).drop_nulls()
        together += [shared["row"] for shared in partitions.apply(values, "value", rows_that_share)]
    rows = pl.LazyFrame({"row": pl.concat(together).unique()}, {"row": pl.Int64})
    decided = exchange.decide(frame.join(rows, on="row", how="semi"))
    alone = frame.select("row").join(rows, on="row", how="anti")
    return pl.concat([decided, alone.select(["row", *_nulls(exchange)])], how="diagonal_relaxed")


def _nulls(exchange: GroupingExchange) -> list[pl.Expr]:
    registered = pl.DataFrame(
        pl.from_arrow(nullable_schema_of("reason", "detail", *exchange.spec.adds).empty_table()),
    ).schema
    return [pl.lit(None, kind).alias(name) for name, kind in registered.items()]
