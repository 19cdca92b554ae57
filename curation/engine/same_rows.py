"""Whether the rows that a commit counts are the rows that lie there now: the source may have grown since, or changed.

The source tells it of whole slices without reading them. Where it cannot, rows are told by their keys, which cover URL
and caption, and so everything that most phases ever see of the source.
"""

from __future__ import annotations

import numpy as np

from curation.engine.lineage import Lineage
from schemas.records import PartCommit, SourceSlice


def present_slice(lineage: Lineage, part: int) -> SourceSlice:
    """What the source holds of a part."""
    start, stop = lineage.bounds(part)
    return SourceSlice(rows=stop - start, fingerprint=lineage.source.slice_fingerprint(lineage.index, start, stop))


def holds_same_rows(lineage: Lineage, commit: PartCommit) -> bool:
    """Whether everything that a commit counts was measured of rows that lie where they lay. Reads no rows."""
    start, stop = lineage.bounds(commit.part)
    if commit.source is None or start + commit.source.rows > stop:
        return False
    # The last part may have been shorter.
    now = lineage.source.slice_fingerprint(lineage.index, start, start + commit.source.rows)
    return now == commit.source.fingerprint


def present_keys(lineage: Lineage, part: int) -> np.ndarray:
    """The keys of all rows of a part: (n,) object. Reads the part from the source."""
    return np.asarray(lineage.source_rows(part)["key"].to_numpy())


def same_keys(start: int, present: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Which rows have the keys that they had: (n,) bool.

    Args:
        start: The first row of the part.
        present: As of `present_keys`.
        rows: (n,) int64, as they were numbered when they were measured.
        keys: (n,) object, as they were measured.
    """
    there = (rows >= start) & (rows < start + len(present))
    same = np.zeros(len(rows), dtype=bool)
    same[there] = present[rows[there] - start] == keys[there]
    return same
