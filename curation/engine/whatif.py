"""What another recipe would decide over what a folder holds, without measuring anything and without writing there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from curation.contracts.source import SourceIndex
from curation.engine.foresight import UNMEASURED, Foreseen, Foresight
from curation.engine.grouping import partitions_for
from curation.engine.lineage import Lineage
from curation.engine.live_rows import item_frame
from curation.engine.phase_work import has_commits
from curation.engine.revisits import Revisits
from curation.errors import RecipeError
from curation.ledger.funnel import Funnel, make_funnel
from curation.ledger.open_run import scan_ledger
from curation.plan.fingerprints import layout_of
from curation.plan.phases import Plan, make_plan
from curation.recipe.model import Recipe
from curation.removals.records import Removals
from curation.removals.removed_rows import removed_rows
from curation.storage.forked_store import ForkedStore
from curation.storage.layout import SOURCE_WORKSPACE, WORKSPACE
from curation.storage.store import Store
from schemas.outcomes import Outcome
from schemas.records import RunRecord


@dataclass(frozen=True, slots=True)
class Example:
    """A row that would end otherwise.

    Attributes:
        reason: What rejects it, or rejected it before.
        detail: The figure that it was compared with.
    """

    row: int
    key: str
    url: str | None
    caption: str | None
    reason: str
    detail: str | None


@dataclass(frozen=True)
class WhatIf:
    """What another recipe would come to.

    Attributes:
        present: The funnel of the folder as it is.
        funnel: As it would be. Rows that nobody has measured fail for `unmeasured` at their phase.
        from_ledger: Whether `present` is that of a finished run; otherwise it, too, was worked out from the pool.
        lost: Rows that would no longer be kept, by what would end them.
        gained: Rows that would newly be kept, by what ended them.
        unmeasured: Rows that would live on to a phase which has not measured them, by phase.
        lost_examples: Of the smallest keys.
        gained_examples: Likewise.
    """

    present: Funnel
    funnel: Funnel
    from_ledger: bool
    lost: dict[str, int]
    gained: dict[str, int]
    unmeasured: dict[str, int]
    lost_examples: tuple[Example, ...]
    gained_examples: tuple[Example, ...]


def what_if(store: Store, record: RunRecord, now: Recipe, then: Recipe, examples: int = 3) -> WhatIf:
    """Decides along another recipe.

    Args:
        record: The folder's latest run.
        now: The recipe that it carried out, or is carrying out.
        then: The recipe to try.
        examples: How many rows of each kind to show.

    Raises:
        RecipeError: The folder holds nothing of what a phase would measure, or the source is another by now.
    """
    plan, changed = make_plan(now), make_plan(then)
    _check_source(record, now, then)
    with tempfile.TemporaryDirectory(prefix="whatif-") as scratch:
        fork = ForkedStore(store.url, Store(scratch))
        index = plan.source.index(fork.child(SOURCE_WORKSPACE))
        _check_rows(store, record, index)
        layout = layout_of(plan.source, index, record.part_rows)
        removals = Removals(store).known
        removed = removed_rows(fork, plan.source, index, removals)
        start = Lineage(fork, plan.source, index, record.part_rows, removed=removed)
        cut = partial(partitions_for, partition_rows=then.run.partition_rows, workspace=Store(scratch).child(WORKSPACE))
        foresight = Foresight(start, layout, record, Revisits(fork, plan, layout).known, removals, cut)
        _check_measured(foresight, fork, plan, changed)
        present = _of_ledger(store, record) if record.ledger else _foreseen(foresight.foresee(plan))
        seen = foresight.foresee(changed)
        future = _foreseen(seen)
        lost = np.flatnonzero(present.kept & ~future.kept & ~future.unmeasured)
        gained = np.flatnonzero(future.kept & ~present.kept)
        return WhatIf(
            present=present.funnel(now),
            funnel=future.funnel(then),
            from_ledger=record.ledger is not None,
            lost=_by_reason(future.ends, lost),
            gained=_by_reason(present.ends, gained),
            unmeasured=_by_reason(future.ends.filter(reason=UNMEASURED), None, "step"),
            lost_examples=_examples(seen.lineage, lost, future, examples),
            gained_examples=_examples(seen.lineage, gained, present, examples),
        )


def _check_source(record: RunRecord, now: Recipe, then: Recipe) -> None:
    if then.source.config != now.source.config or then.run.part_rows != record.part_rows:
        raise RecipeError(
            "whatif: another source, or other parts, would be measured from the start; try it with `curation run` "
            "into another folder"
        )


def _check_rows(store: Store, record: RunRecord, index: SourceIndex) -> None:
    if record.source is not None and record.source != index.fingerprint:
        raise RecipeError(
            f"{store.url}: nothing was measured of the source as it is; it has changed since the run: `curation run` "
            "first, which measures what is new in it"
        )


def _check_measured(foresight: Foresight, store: Store, now: Plan, then: Plan) -> None:
    before, after = foresight.layouts(now), foresight.layouts(then)
    known = {layout.folder for layout in before.values()}
    if not any(has_commits(store, folder) for folder in known):
        raise RecipeError(
            f"{store.url}: nothing was measured of the source yet; the run has just begun: `curation run` first"
        )
    anew = [
        name for name, layout in after.items() if layout.folder not in known and not has_commits(store, layout.folder)
    ]
    if anew:
        raise RecipeError(
            f"whatif: with these settings a run would measure anew: {', '.join(anew)}. What that comes to cannot be "
            "told beforehand; `curation run` into the same folder measures it, and takes over everything else"
        )


@dataclass(frozen=True)
class _Ends:
    """How every row ends.

    Attributes:
        kept: (rows,) bool.
        unmeasured: Rows that end nowhere, since a phase has not measured them: (rows,) bool.
        ends: `row`, `outcome`, `step`, `reason` of all rows that are not kept.
        details: The figures by which given rows ended.
    """

    kept: np.ndarray
    unmeasured: np.ndarray
    ends: pl.DataFrame
    details: Callable[[np.ndarray], dict[int, str | None]]

    def funnel(self, recipe: Recipe) -> Funnel:
        kept = pl.select(pl.repeat(Outcome.KEPT.value, int(self.kept.sum()), dtype=pl.String).alias("outcome"))
        frame = pl.concat([self.ends.drop("row"), kept], how="diagonal").lazy()
        return make_funnel(frame, [step.config.step_name for step in recipe.steps])


def _of_ledger(store: Store, record: RunRecord) -> _Ends:
    ledger = scan_ledger(store, str(record.ledger))
    ended = pl.col("outcome") != Outcome.KEPT.value
    ends = ledger.filter(ended).select("row", "outcome", "step", "reason").collect(engine="streaming")
    kept = np.ones(record.rows, dtype=bool)
    kept[ends["row"].to_numpy()] = False

    def details(rows: np.ndarray) -> dict[int, str | None]:
        chosen = ledger.filter(pl.col("row").is_in(rows.tolist())).select("row", "detail")
        return dict(chosen.collect(engine="streaming").iter_rows())

    return _Ends(kept, np.zeros(record.rows, dtype=bool), ends, details)


def _foreseen(seen: Foreseen) -> _Ends:
    unmeasured = np.zeros(len(seen.kept), dtype=bool)
    pieces = [seen.ends]
    for phase, rows in seen.unmeasured.items():
        unmeasured[rows] = True
        texts = {"outcome": Outcome.FAILED.value, "step": phase, "reason": UNMEASURED}
        pieces.append(
            pl.DataFrame({"row": rows}).with_columns(pl.lit(text).alias(name) for name, text in texts.items())
        )
    return _Ends(seen.kept, unmeasured, pl.concat(pieces), seen.details)


def _by_reason(ends: pl.DataFrame, rows: np.ndarray | None, column: str = "reason") -> dict[str, int]:
    """Counts by reason, largest first."""
    chosen = ends if rows is None else ends.filter(pl.col("row").is_in(pl.Series(rows).implode()))
    counts = chosen.group_by(column).len().sort(["len", column], descending=[True, False])
    return dict(counts.iter_rows())


def _examples(lineage: Lineage, rows: np.ndarray, ended: _Ends, count: int) -> tuple[Example, ...]:
    """Of the given rows those of the smallest keys: their positions say nothing of them, so it is a fair draw."""
    keys = item_frame(lineage, lineage.items[0]).select("row", "key").filter(pl.col("row").is_in(rows.tolist()))
    chosen = keys.unique("row").bottom_k(count, by=["key", "row"]).sort("key", "row").collect(engine="streaming")
    numbers = chosen["row"].to_numpy()
    reasons = dict(ended.ends.filter(pl.col("row").is_in(numbers.tolist())).select("row", "reason").iter_rows())
    details = ended.details(numbers)
    examples = []
    for row, key in chosen.iter_rows():
        part = row // lineage.part_rows
        (source,) = lineage.source_rows(part).slice(row - lineage.bounds(part)[0], 1).to_pylist()
        examples.append(Example(row, key, source["url"], source["caption"], str(reasons.get(row)), details.get(row)))
    return tuple(examples)
