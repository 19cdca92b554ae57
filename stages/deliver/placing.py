"""The place of every row in the shards: a pure function of its key, the seed and, with windows, its row number."""

from __future__ import annotations

import polars as pl

_WRAP = 2**64
_STEP = 0x9E3779B97F4A7C15
_FIRST_FACTOR = 0xBF58476D1CE4E5B9
_SECOND_FACTOR = 0x94D049BB133111EB


def mixed(value: int) -> int:
    """A 64-bit hash of a 64-bit number, the same on every machine.

    Source: Steele, Lea, Flood: Fast splittable pseudorandom number generators (OOPSLA 2014), SplitMix64.
    """
    value = (value + _STEP) % _WRAP
    value = (value ^ (value >> 30)) * _FIRST_FACTOR % _WRAP
    value = (value ^ (value >> 27)) * _SECOND_FACTOR % _WRAP
    return value ^ (value >> 31)


def key_draw(key: str, seed: int) -> float:
    """A number in [0, 1) drawn for a key: 53 random bits."""
    return (mixed(int(key[:16], 16) ^ mixed(seed)) >> 11) / 2**53


def _mixed(value: pl.Expr) -> pl.Expr:
    """`mixed` of a UInt64 column: polars' products wrap, and a division by a power of two is a shift."""
    value = value + _number(_STEP)
    value = (value ^ (value // _number(2**30))) * _number(_FIRST_FACTOR)
    value = (value ^ (value // _number(2**27))) * _number(_SECOND_FACTOR)
    return value ^ (value // _number(2**31))


def _number(value: int) -> pl.Expr:
    return pl.lit(value, dtype=pl.UInt64)


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
    digits = pl.col("key").str.slice(0, 16).str.to_integer(base=16, dtype=pl.UInt64)
    windows = pl.lit(0, dtype=pl.UInt64) if window_rows is None else (pl.col("row") // window_rows).cast(pl.UInt64)
    firsts = pl.col("row").min().over("key")
    judged = frame.select(
        "row",
        "key",
        first=firsts,
        window=_mixed(windows ^ _number(mixed(seed + 1))),
        order=_mixed(digits ^ _number(mixed(seed))),
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
