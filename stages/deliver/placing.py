"""The place of every row in the shards: a pure function of its key, the seed and, with windows, its row number."""

from __future__ import annotations

import polars as pl

from curation.key_draws import key_bits, mixed, mixed_column, uint64


def place_rows(frame: pl.LazyFrame, shard_rows: int, seed: int, window_rows: int | None) -> pl.LazyFrame:
    """Shuffles the rows by a hash of their keys and cuts them into shards of exactly `shard_rows`, the last apart.

    Args:
        frame: `row` (Int64) and `key` (String, 32 hexadecimal digits).
        shard_rows: Rows of a shard.
        seed: Another seed, another order.
        window_rows: Rows are shuffled within windows of so many consecutive rows of the source, and the windows among
            each other, so that a shard draws from few parts. None: one shuffle of all rows.

    Returns:
        One row for each row given, by `row`: `row`, `reason` and `detail` (String), `shard` and `shard_position`
        (Int32). Of rows with the same key the smallest has a place, the others the reason `repeated_row`.
    """
    windows = pl.lit(0, dtype=pl.UInt64) if window_rows is None else (pl.col("row") // window_rows).cast(pl.UInt64)
    firsts = pl.col("row").min().over("key")
    judged = frame.select(
        "row",
        "key",
        first=firsts,
        window=mixed_column(windows ^ uint64(mixed(seed + 1))),
        order=key_bits(seed),
    )
    repeated = pl.col("row") != pl.col("first")
    # The key and the row settle what the hashes leave open, so that the order never hangs on that of the input.
    placed = judged.filter(~repeated).sort("window", "order", "key", "row").with_row_index("place")
    delivered = placed.select(
        "row",
        reason=pl.lit(None, dtype=pl.String),
        detail=pl.lit(None, dtype=pl.String),
        shard=(pl.col("place") // shard_rows).cast(pl.Int32),
        shard_position=(pl.col("place") % shard_rows).cast(pl.Int32),
    )
    dropped = judged.filter(repeated).select(
        "row",
        reason=pl.lit("repeated_row"),
        detail=pl.format("same source, URL and caption as row {}", "first"),
        shard=pl.lit(None, dtype=pl.Int32),
        shard_position=pl.lit(None, dtype=pl.Int32),
    )
    return pl.concat([delivered, dropped]).sort("row")
