"""How many units wait before each worker, and between one pool of workers and the next."""

from __future__ import annotations

DEEPEST = 16
"""So many no-op units take longer than an answer takes to get to the driver and the next unit back."""
_SHALLOWEST = 2
_TAIL_SHARE = 50
_AHEAD = 2


def queue_depth(units: int, workers: int) -> int:
    """Units that a worker has before it, the one in hand included.

    What waits before one worker cannot be taken by another, so at the end of a phase one may have a queue where the
    others have nothing: that may cost a fiftieth of what each has to do. Short phases have one in hand and one to go on
    with.
    """
    return min(DEEPEST, max(_SHALLOWEST, units // (_TAIL_SHARE * workers)))


def most_between(depth: int, workers: int) -> int:
    """Units that may be done by one pool and not yet by the next one, whose workers and their depth are given.

    Two a worker wait where any of them can take them, so that none is idle when some units take longer than others.
    """
    return (depth + _AHEAD) * workers
