"""Why a row ended as it did: everything that the ledger knows of a key or a URL."""

from __future__ import annotations

from typing import Any

import polars as pl


def explain(ledger: pl.LazyFrame, key_or_url: str) -> list[dict[str, Any]]:
    """The rows with this key or this URL (before or after redirects), as dictionaries without their nulls."""
    columns = ledger.collect_schema().names()
    wanted = pl.col("key") == key_or_url
    for name in ("url", "final_url"):
        if name in columns:
            wanted = wanted | (pl.col(name) == key_or_url)
    rows = ledger.filter(wanted).sort("row").collect(engine="streaming").to_dicts()
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def verdict_line(row: dict[str, Any]) -> str:
    """One sentence: what became of the row, at which step, and why."""
    if row["outcome"] == "kept":
        place = f", sample {row['shard_position']} of shard {row['shard']:06d}" if "shard" in row else ""
        return f"kept{place}"
    detail = f" ({row['detail']})" if "detail" in row else ""
    return f"{row['outcome']} at {row['step']}: {row['reason']}{detail}"
