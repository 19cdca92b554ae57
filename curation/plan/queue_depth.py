"""How many units a runner takes on at a time, and how many wait before each worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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


def windows(units: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    """The units in as few runs of at most so many as can be, all about as long: none starts workers for a handful."""
    count = -(-len(units) // most)
    for number in range(count):
        yield units[number * len(units) // count : (number + 1) * len(units) // count]
