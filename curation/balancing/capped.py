"""Exactly so many rows for each entry, as CLIP took up to 20,000 pairs for each query."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from curation.key_draws import mixed_column, purpose_seed
from curation.selection.group_bounds import CAP, LAST_FIGURE, LAST_KEY, LAST_ROW, ROWS, group_bounds
from curation.selection.last_kept import outdone_by_key, worse


def within_caps(
    files: list[Path], entries: pl.Series, counts: npt.NDArray[np.int64], caps: npt.NDArray[np.int64], seed: int
) -> pl.Series:
    """The rows that are among those drawn for any of their entries.

    Each entry draws its rows by itself: by a hash of the row's bits, the entry's text and the seed; equal hashes are
    settled by key and row. Memory grows with the rows that are kept and with the largest entries' rows, up to a bound.

    Args:
        files: Parquet files of `row`, `key`, `bits` (UInt64) and `entries` (List(UInt32)).
        entries: (n,) the text of each entry.
        counts: (n,) rows that name it.
        caps: (n,) how many of them are drawn.
        seed: Of the draw.

    Returns:
        The numbers of the rows, (m,) Int64, in no order.
    """
    if not files:
        return pl.Series("row", [], pl.Int64)
    over = np.flatnonzero(counts > caps)
    rules = pl.DataFrame(
        {
            "entry": pl.Series(over, dtype=pl.UInt32),
            ROWS: counts[over],
            CAP: caps[over],
            "seed": pl.Series([purpose_seed(name, seed) for name in entries.gather(over)], dtype=pl.UInt64),
        }
    )
    pairs = (
        pl.scan_parquet(list(files), glob=False)
        .select("row", "key", "bits", entry="entries")
        .explode("entry", empty_as_null=False)
        .drop_nulls("entry")
    )
    crowded = pairs.join(rules.lazy().select("entry", "seed"), on="entry", how="inner", maintain_order="none")
    drawn = crowded.select("row", "key", "entry", draw=mixed_column(pl.col("bits") ^ pl.col("seed")))
    bounds = group_bounds(drawn, ["entry"], rules.select("entry", ROWS, CAP), "draw", largest=False)
    last = (pl.col(LAST_FIGURE), pl.col(LAST_KEY), pl.col(LAST_ROW))
    behind = worse("draw", last[0], largest=False) | outdone_by_key("draw", *last)
    chosen = drawn.join(bounds.lazy(), on="entry", how="inner", maintain_order="none").filter(~behind)
    roomy = pairs.join(rules.lazy().select("entry"), on="entry", how="anti", maintain_order="none")
    rows = pl.concat([chosen.select("row"), roomy.select("row")]).unique()
    return rows.collect(engine="streaming").to_series()
