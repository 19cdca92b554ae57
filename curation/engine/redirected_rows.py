"""Rows that turn out to be removed once their URLs were asked for: a redirect led them to, or past, what is removed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import polars as pl

from curation.engine.lineage import Lineage, MeasuredItem
from curation.engine.live_rows import item_frame
from curation.removals.matcher import Matcher
from curation.removals.removed_rows import RemovedRows, remembered_rows
from curation.removals.search import ANSWERED_URLS
from curation.storage.layout import removed_rows_path
from schemas.records import Removal

logger = logging.getLogger(__name__)

_BATCH_ROWS = 65_536
_COMMITS_AT_A_TIME = 10_000


def with_redirected_rows(lineage: Lineage, item: MeasuredItem, removals: Sequence[Removal]) -> RemovedRows:
    """The rows that are removed behind a phase: those that were before it, and those that it saw redirected.

    They are looked for once for each state of the phase's commits. Where a phase records no URLs, or nothing is removed
    by URL or domain, these are the rows that were removed before.

    Args:
        lineage: What was done before the phase.
        item: The phase, after it was run.
        removals: Those of the folder.
    """
    matcher = Matcher(removals)
    columns = [name for name in ANSWERED_URLS if name in item.columns]
    if not columns or not matcher.reads_urls:
        return lineage.removed
    path = removed_rows_path(_state(lineage, item, removals))
    found = remembered_rows(lineage.store, path, lambda: _search(lineage, item, matcher, columns))
    if not len(found.rows):
        return lineage.removed
    logger.warning(
        "%s: %d rows were redirected to what was removed, so they are rejected; `curation remove` with this folder and "
        "without a list erases what was measured of them",
        *(item.layout.name, len(found.rows)),
    )
    return lineage.removed.and_also(found)


def _state(lineage: Lineage, item: MeasuredItem, removals: Sequence[Removal]) -> str:
    """What is found hangs on this: which files the commits name, which rows were alive, and the removals."""
    digest = sha256(f"redirected {item.layout.commits} {[removal.number for removal in removals]}".encode())
    for start in range(0, lineage.parts, _COMMITS_AT_A_TIME):
        parts = range(start, min(start + _COMMITS_AT_A_TIME, lineage.parts))
        for commit in lineage.part_commits(item, parts):
            digest.update(repr([commit.part, [(file.path, file.without) for file in commit.files]]).encode())
    return digest.hexdigest()[:16]


def _search(lineage: Lineage, item: MeasuredItem, matcher: Matcher, columns: Sequence[str]) -> RemovedRows:
    told = item_frame(lineage, item).select("row", "key", *columns)
    told = told.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in columns))
    rows, numbers = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
    for batch in told.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=False, engine="streaming"):
        found = matcher.by_any(batch, columns)
        rows.append(batch["row"].to_numpy()[found > 0])
        numbers.append(found[found > 0])
    meant = RemovedRows(np.concatenate(rows), np.concatenate(numbers)).sorted()
    # A file may hold rows that another item has ended since: these stay as they ended.
    alive = [lineage.live_rows(part) for part in np.unique(meant.rows // lineage.part_rows).tolist()]
    chosen = np.isin(meant.rows, np.concatenate([np.empty(0, np.int64), *alive]))
    return RemovedRows(meant.rows[chosen], meant.numbers[chosen])
