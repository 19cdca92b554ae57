"""How many units wait before each worker: enough that a driver that is busy leaves none idle, few at the end."""

from __future__ import annotations

DEEPEST = 16
"""So many no-op units take about as long as the driver takes for a look round."""
_SHALLOWEST = 2
_TAIL_SHARE = 50


def queue_depth(units: int, workers: int) -> int:
    """Units that a worker has before it, the one in hand included.

    What waits before one worker cannot be taken by another, so at the end of a phase one may have a queue where the
    others have nothing: that may cost a fiftieth of what each has to do. Short phases have one in hand and one to go on
    with.
    """
    return min(DEEPEST, max(_SHALLOWEST, units // (_TAIL_SHARE * workers)))
