"""How many workers there are: replaced when they die, more when nodes join, fewer where others cannot start."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence

import ray

from curation.runtime.ray_pool import Hand, Pool

logger = logging.getLogger(__name__)

PATIENCE_S = 60.0
"""How long a pool has no worker at all before something is done about it."""


class Staffing:
    """Looks after the workers of a pipeline's pools.

    Args:
        shares: Whether others may hold what these workers need: on a cluster that was joined.
    """

    def __init__(self, pools: Sequence[Pool], *, shares: bool) -> None:
        self._pools = pools
        self._shares = shares
        self._missing_since: float | None = None
        self._not_before = 0.0

    def look(self, is_short: Callable[[int], bool]) -> None:
        """Starts, adds and takes away workers as it is due; `is_short` tells whether a pool could use one more."""
        if time.monotonic() < self._not_before:
            return
        for place, pool in enumerate(self._pools):
            # One that still waits for room has been asked for already.
            if len(pool.hands) < pool.most and all(hand.ready for hand in pool.hands) and is_short(place):
                pool.aim = min(pool.most, max(pool.aim, 2 * len(pool.hands)))
            self.fill(pool)
            pool.dismiss(_idle(pool)[: max(0, len(pool.hands) - pool.aim)])
        if self._shares:
            self._make_room()

    def fill(self, pool: Pool) -> None:
        """Starts workers up to the number that is wanted."""
        while len(pool.hands) < pool.aim:
            pool.start()

    def replace(self, pool: Pool) -> None:
        """Starts one in place of a worker that died: it comes before those that other pools have beyond their plan.

        One that waits for room takes what the dead one leaves before anybody knows of the death.
        """
        for other in self._pools:
            beyond = len(other.hands) - other.planned
            if other is not pool and beyond > 0:
                newest = [(other, hand) for hand in other.hands if not hand.ready][-beyond:]
                _let_go(newest)
                other.aim = len(other.hands)
        self.fill(pool)

    def _make_room(self) -> None:
        """Gives up processors where a pool gets none: its own pipeline may hold them, or two hold each other's."""
        missing = [pool for pool in self._pools if not pool.is_there]
        now = time.monotonic()
        if not missing or self._missing_since is None:
            self._missing_since = now if missing else None
            return
        if now - self._missing_since < PATIENCE_S:
            return
        self._missing_since = now
        names = ", ".join(pool.operator.name for pool in missing)
        surplus = [(pool, hand) for pool in self._pools for hand in _surplus(pool)]
        for pool in self._pools:
            pool.aim = 1
        if surplus and _held(surplus, missing):
            logger.warning("no worker for %s has got its resources: %d others are ended for it", names, len(surplus))
            _let_go(surplus)
        elif any(pool.is_there for pool in self._pools):
            # By chance, or two that wait for each other would meet again and again.
            wait_s = PATIENCE_S * random.uniform(0.2, 1.2)
            logger.warning("no worker for %s has got its resources: all are given back for %.0f s", names, wait_s)
            _let_go([(pool, hand) for pool in self._pools for hand in list(pool.hands)])
            self._not_before = now + wait_s
            self._missing_since = None
        else:
            logger.warning("no worker for %s has got its resources: others hold them", names)


def _idle(pool: Pool) -> list[Hand]:
    """Workers that have nothing to do, first those that still wait for room."""
    return sorted((hand for hand in pool.hands if not hand.units), key=lambda hand: (hand.present, hand.ready))


def _surplus(pool: Pool) -> list[Hand]:
    """All workers but one, which is one that is there if there is one."""
    return sorted(pool.hands, key=lambda hand: (hand.present, hand.ready, hand.units))[:-1]


def _held(surplus: Sequence[tuple[Pool, Hand]], missing: Sequence[Pool]) -> bool:
    """Whether the surplus holds something that the missing ones lack."""
    free = ray.available_resources()  # type: ignore[no-untyped-call]
    lacking = {
        kind
        for pool in missing
        for kind, need in (("CPU", pool.operator.resources.cpus), ("GPU", pool.operator.resources.gpus))
        if need > free.get(kind, 0.0)
    }
    held = {
        kind
        for pool, hand in surplus
        for kind, need in (("CPU", pool.operator.resources.cpus), ("GPU", pool.operator.resources.gpus))
        if need and hand.present
    }
    return bool(lacking & held)


def _let_go(workers: Sequence[tuple[Pool, Hand]]) -> None:
    for pool, hand in workers:
        hand.let_go = True
        pool.drop(hand)
