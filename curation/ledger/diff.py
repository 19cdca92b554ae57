"""Which rows ended otherwise in another ledger. Rows are matched by key, so their places may differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from schemas.outcomes import Outcome

_SHOWN = ("url", "caption")


@dataclass(frozen=True)
class Transition:
    """Rows that ended one way and now end another.

    Attributes:
        before: `kept`, `rejected(RULE)` or `failed(REASON)`.
        after: Likewise.
        examples: Those of the smallest keys: `key`, `url`, `caption`, `detail_before`, `detail_after`.
    """

    before: str
    after: str
    rows: int
    examples: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class LedgerDiff:
    """What changed from one ledger to another.

    Attributes:
        same: Rows that ended the same way.
        transitions: The others, most rows first.
        only_before: Rows that the second ledger does not have, by how they ended.
        only_after: Rows that the first one does not have, by how they ended.
        kept: Kept rows before and after.
    """

    same: int
    transitions: tuple[Transition, ...]
    only_before: dict[str, int]
    only_after: dict[str, int]
    kept: tuple[int, int]

    @property
    def changed(self) -> int:
        """Rows of both ledgers that ended otherwise."""
        return sum(transition.rows for transition in self.transitions)


def diff_ledgers(before: pl.LazyFrame, after: pl.LazyFrame, examples: int = 3) -> LedgerDiff:
    """Compares two ledgers.

    A pair that a source gives several times has one key: its rows are matched in their order.
    """
    first, second = _verdicts(before), _verdicts(after)
    joined = first.join(second, on=["key", "nth"], how="full", coalesce=True, suffix="_after")
    counts = joined.group_by("label", "label_after").len().collect(engine="streaming")
    counts = counts.sort(["len", "label", "label_after"], descending=[True, False, False], nulls_last=True)
    both = counts.drop_nulls()
    changed = both.filter(pl.col("label") != pl.col("label_after"))
    chosen = _chosen(joined, examples) if examples and len(changed) else pl.DataFrame()
    shown = _shown(chosen, before, after)
    transitions = tuple(Transition(old, new, rows, shown.get((old, new), [])) for old, new, rows in changed.iter_rows())
    kept = [int(counts.filter(pl.col(name) == Outcome.KEPT.value)["len"].sum()) for name in ("label", "label_after")]
    return LedgerDiff(
        same=int(both["len"].sum()) - int(changed["len"].sum()),
        transitions=transitions,
        only_before=dict(counts.filter(pl.col("label_after").is_null()).select("label", "len").iter_rows()),
        only_after=dict(counts.filter(pl.col("label").is_null()).select("label_after", "len").iter_rows()),
        kept=(kept[0], kept[1]),
    )


def _verdicts(ledger: pl.LazyFrame) -> pl.LazyFrame:
    """`row`, `key`, `nth` (which of the rows of that key) and `label` of every row."""
    kept = pl.col("outcome") == Outcome.KEPT.value
    ended = pl.format("{}({})", pl.col("outcome"), pl.col("reason"))
    label = pl.when(kept).then(pl.col("outcome")).otherwise(ended).alias("label")
    frame = ledger.select("row", "key", label)
    repeated = frame.group_by("key").len().filter(pl.col("len") > 1).select("key")
    nth = frame.join(repeated, on="key", how="semi").select(
        "row", (pl.col("row").rank("ordinal").over("key") - 1).cast(pl.Int64).alias("nth")
    )
    return frame.join(nth, on="row", how="left").with_columns(pl.col("nth").fill_null(0))


def _chosen(joined: pl.LazyFrame, examples: int) -> pl.DataFrame:
    """The rows of the smallest keys of every transition."""
    changed = joined.filter(pl.col("label") != pl.col("label_after"))
    order = pl.struct("key", "nth").rank("ordinal").over("label", "label_after")
    return changed.filter(order <= examples).sort("key", "nth").collect(engine="streaming")


def _shown(chosen: pl.DataFrame, before: pl.LazyFrame, after: pl.LazyFrame) -> dict[tuple[str, str], list[Any]]:
    if chosen.is_empty():
        return {}
    old = _facts(before, chosen["row"])
    new = _facts(after, chosen["row_after"])
    shown: dict[tuple[str, str], list[Any]] = {}
    for row in chosen.iter_rows(named=True):
        here, there = old[row["row"]], new[row["row_after"]]
        facts = {name: here.get(name) if here.get(name) is not None else there.get(name) for name in _SHOWN}
        details = {"detail_before": here["detail"], "detail_after": there["detail"]}
        shown.setdefault((row["label"], row["label_after"]), []).append({"key": row["key"], **facts, **details})
    return shown


def _facts(ledger: pl.LazyFrame, rows: pl.Series) -> dict[int, dict[str, Any]]:
    names = [name for name in (*_SHOWN, "detail") if name in ledger.collect_schema().names()]
    chosen = ledger.filter(pl.col("row").is_in(rows.to_list())).select("row", *names).collect(engine="streaming")
    return {row["row"]: row for row in chosen.iter_rows(named=True)}
