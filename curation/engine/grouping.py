"""Decides about groups of rows without holding the rows that stand alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil

import numpy as np
import polars as pl

from curation.contracts.exchange import GroupingExchange, Partitions
from curation.engine.lineage import Lineage
from curation.runtime.partitions import LocalPartitions, delete_left_partitions
from curation.similarity.equals import hashed, rows_that_share
from curation.storage.store import Store
from schemas.columns import nullable_schema_of

LIGHT_ROWS = 1_000_000
"""So many rows are decided on at once."""


def partitions_for(
    lineage: Lineage, partition_rows: int, workspace: Store, cut: Callable[[int, Store], Partitions] = LocalPartitions
) -> Partitions | None:
    """How the rows are cut for exchanges that decide about groups; None where they are few.

    Args:
        cut: Makes so many partitions in a workspace.
    """
    count = ceil(lineage.index.rows / partition_rows)
    if count > 1:
        delete_left_partitions(workspace)
        return cut(count, workspace)
    return LocalPartitions(1, workspace) if lineage.index.rows > LIGHT_ROWS else None


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
    together = RowSet()
    together.add(exchange.tied_otherwise(frame))
    for tie in exchange.ties:
        values = frame.select("row", value=hashed(tie)).drop_nulls()
        together.update(shared["row"] for shared in partitions.apply(values, "value", rows_that_share))
    # A join would do the same, but polars may take the larger side, all rows with all columns, for the one it holds.
    tied = pl.col("row").map_batches(together.has, pl.Boolean, is_elementwise=True)
    decided = exchange.decide(frame.filter(tied))
    alone = frame.select("row").filter(~tied)
    return pl.concat([decided, alone.select(["row", *_nulls(exchange)])], how="diagonal_relaxed")


class RowSet:
    """A set of positions of rows: an eighth of a byte for each row of the source up to the last of them."""

    def __init__(self) -> None:
        self._bits = np.zeros(0, np.uint8)

    def update(self, several: Iterable[pl.Series]) -> None:
        """Puts rows (Int64) into the set."""
        for rows in several:
            self.add(rows)

    def add(self, rows: pl.Series) -> None:
        """Puts rows (Int64) into the set."""
        if rows.is_empty():
            return
        places = rows.to_numpy()
        size = int(places.max()) // 8 + 1
        if size > len(self._bits):
            # Doubled, so that partition by partition it is not copied each time.
            grown = np.zeros(max(size, 2 * len(self._bits)), np.uint8)
            grown[: len(self._bits)] = self._bits
            self._bits = grown
        np.bitwise_or.at(self._bits, places >> 3, (1 << (places & 7)).astype(np.uint8))

    def has(self, rows: pl.Series) -> pl.Series:
        """Which rows (Int64) are in the set: (n,) Boolean."""
        places = rows.to_numpy()
        inside = places >> 3 < len(self._bits)
        found = np.zeros(len(places), bool)
        near = places[inside]
        found[inside] = self._bits[near >> 3] >> (near & 7).astype(np.uint8) & 1
        return pl.Series(rows.name, found)


def _nulls(exchange: GroupingExchange) -> list[pl.Expr]:
    registered = pl.DataFrame(
        pl.from_arrow(nullable_schema_of("reason", "detail", *exchange.spec.adds).empty_table()),
    ).schema
    return [pl.lit(None, kind).alias(name) for name, kind in registered.items()]
