"""From how often each entry is named to how likely each row is kept."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def entry_probabilities(counts: Counts, threshold: int) -> Floats:
    """min(1, threshold / count) of each entry: (n,) float64.

    Source: MetaCLIP (Xu et al. 2024), Algorithm 1, where the threshold is t.
    """
    return threshold / np.maximum(counts, threshold)


def tail_share(counts: Counts, threshold: int) -> float:
    """Which share of all matches is of entries with fewer than `threshold`, 0 where there are none.

    Source: MetaCLIP 2 (Chuang et al. 2025), `t_to_p`.
    """
    return float(counts[counts < threshold].sum() / max(counts.sum(), 1))


def threshold_of_tail(counts: Counts, share: float) -> int:
    """The count at which the tail has a share of all matches as near as possible to the given one; at least 1.

    Source: MetaCLIP 2 (Chuang et al. 2025), `p_to_t`. Of equally near counts the smallest is taken, as there.
    """
    ascending = np.sort(counts)
    shares = np.cumsum(ascending) / max(ascending.sum(), 1)
    return max(int(ascending[np.abs(shares - share).argmin()]), 1)


def keep_probabilities(probabilities: Floats, entries: npt.NDArray[np.uint32], offsets: Counts) -> Floats:
    """1 - ∏(1 - p) over the entries of each row: (rows,) float64, 0 for a row without any.

    Args:
        probabilities: (n,) of each entry.
        entries: (m,) entries of all rows, one row behind the other.
        offsets: (rows + 1,) where those of each row begin, and m.
    """
    missed = np.ones(len(offsets) - 1)
    some = np.flatnonzero(np.diff(offsets))
    if len(some):
        missed[some] = np.multiply.reduceat(1.0 - probabilities[entries], offsets[some])
    return 1.0 - missed
