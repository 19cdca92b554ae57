"""How many workers there are: dead ones replaced, more when nodes join, none for a while where room is lacking."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence

from curation.errors import CurationError
from curation.runtime.on_ray.pool import Pool

logger = logging.getLogger(__name__)

PATIENCE_S = 120.0
"""How long a pool has no worker at all before all pools give back what they hold; doubled when that did not help."""
_MOST_PATIENCE_S = 1800.0
_LOOKS, _MOST_LOOKS = 3, 10
"""Looks at which a pool was short of workers until it grows, and that count at most: one look tells little."""


class Staffing:
    """Looks after the workers of a pipeline's pools.

    Args:
        max_tries: Of a unit. So many times all workers of a pool may die before one has done a unit.
        fits: Whether the cluster, as it is now, has room for a worker of each pool at all.
    """

    def __init__(self, pools: Sequence[Pool], max_tries: int, fits: Callable[[], bool]) -> None:
        self._pools = pools
        self._max_tries = max_tries
        self._fits = fits
        self._patience_s = PATIENCE_S
        self._missing_since: float | None = None
        self._rests_until = 0.0
        self._shortage = [0] * len(pools)

    def look(self, is_short: Callable[[int], bool]) -> None:
        """Starts, adds and takes away workers as it is due; `is_short` tells whether a pool could use one more."""
        if time.monotonic() < self._rests_until:
            return
        self._grow(is_short)
        # One of each first: where there is not room for all, each pool has one all the same.
        for pool in self._pools:
            if not pool.hands:
                pool.start()
        for pool in self._pools:
            while len(pool.hands) < pool.aim:
                pool.start()
            pool.retire(len(pool.hands) - pool.aim)
        self._make_room()

    def lost(self, pool: Pool, cause: str) -> None:
        """Replaces a worker that died; that comes before what other pools have beyond their plan.

        One that waits for room takes what the dead one leaves before anybody knows of the death.

        Raises:
            CurationError: They die again and again before they have done anything.
        """
        # Those that had something to do are another matter: it may be the fault of what they did.
        if pool.deaths_in_a_row > self._max_tries * pool.aim:
            died = pool.deaths_in_a_row
            raise CurationError(f"{pool.operator.name}: {died} workers in a row died before one did a unit: {cause}")
        for other in self._pools:
            if other is not pool:
                other.aim = min(other.aim, max(other.planned, other.ready))
                other.retire(len(other.hands) - other.aim)
        if time.monotonic() >= self._rests_until and len(pool.hands) < pool.aim:
            pool.start()

    def _grow(self, is_short: Callable[[int], bool]) -> None:
        # Ray does not serve who came first: what is asked for beyond the plan could overtake what was planned.
        planned_are_there = all(pool.present >= min(pool.planned, pool.aim) for pool in self._pools)
        for place, pool in enumerate(self._pools):
            seen = self._shortage[place] + (1 if is_short(place) else -1)
            self._shortage[place] = min(_MOST_LOOKS, max(0, seen))
            if not self._shortage[place]:
                # No more is asked for than planned, beside what has been got.
                pool.aim = min(pool.aim, max(pool.planned, pool.present))
            elif seen >= _LOOKS and planned_are_there and pool.ready == len(pool.hands) <= pool.aim:
                pool.aim = min(pool.most, 2 * pool.aim)

    def _make_room(self) -> None:
        """Gives back everything for a while where a pool gets no worker: two runs may hold what the other waits for."""
        missing = [pool for pool in self._pools if not pool.present]
        now = time.monotonic()
        if not missing or self._missing_since is None:
            self._missing_since = now if missing else None
            return
        if now - self._missing_since < self._patience_s:
            return
        self._missing_since = None
        names = ", ".join(pool.operator.name for pool in missing)
        if len(missing) == len(self._pools) or not self._fits():
            logger.warning("no worker for %s has got its resources: others hold them, or nodes are missing", names)
            return
        # By chance, or two that wait for each other would meet again and again.
        rest_s = self._patience_s * random.uniform(0.2, 1.2)
        logger.warning("no worker for %s has got its resources: all are given back for %.0f s", names, rest_s)
        self._rests_until = now + rest_s
        self._patience_s = min(2 * self._patience_s, _MOST_PATIENCE_S)
        for pool in self._pools:
            pool.retire(len(pool.hands))
            pool.planned = pool.aim = 1
