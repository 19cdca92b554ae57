"""How many rows each group gets of a number of rows, between in proportion and alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


def shared_out(rows: Counts, total: int, temperature: float) -> Counts:
    """Shares out `total` rows among groups, in proportion to the power `temperature` of their rows.

    A group that has fewer rows than its share gives all of them, and the others share the rest. Parts of rows go to the
    groups with the largest parts, of equal parts to the first groups.

    Args:
        rows: (n,) rows of each group, at least 1.
        total: What is shared out.
        temperature: 1: in proportion to their rows; 0: alike; between, as when languages are sampled.

    Returns:
        (n,) int64, nowhere more than `rows`; their sum is `total`, or that of all rows if there are fewer.
    """
    if total >= rows.sum():
        return rows.copy()
    weights = rows.astype(np.float64) ** temperature
    # Groups run out in this order as the shares grow.
    order = np.argsort(rows / weights, kind="stable")
    taken = np.concatenate([[0], np.cumsum(rows[order])[:-1]])
    left = np.cumsum(weights[order][::-1])[::-1]
    scale = (total - taken) / left
    # The first group that does not run out, if all before it do and all behind it share the rest.
    first = int(np.argmax(scale * weights[order] < rows[order]))
    shares = np.minimum(scale[first] * weights, rows)
    whole: Counts = np.floor(shares + 1e-9).astype(np.int64)
    parts = np.where(whole < rows, shares - whole, -1.0)
    more = np.argsort(-parts.round(9), kind="stable")[: total - whole.sum()]
    whole[more] += 1
    return np.asarray(whole, np.int64)
