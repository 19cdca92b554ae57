"""How often each operator began each unit, noted where no worker's end can forget it: in Ray's table of keys."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable

from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_exists, _internal_kv_put

_NAMESPACE = "curation"
_BLOCK = 10_000


class Tries:
    """Counts the tries of a pipeline's units. Travels to workers by pickling; all copies count together.

    Only a worker knows which of the units before it it has begun when it dies. Ray's head keeps what it notes; its loss
    ends the driver as well, and no process has to be started for it. The first try of a unit costs one message.

    Args:
        most: Tries of a unit that each operator has.
        units: All there are. What is noted of ten thousand neighbours is given back when the last of them is done.
    """

    def __init__(self, most: int, units: Iterable[int]) -> None:
        self._most = most
        self._prefix = f"tries-{uuid.uuid4().hex}"
        self._left = Counter(unit // _BLOCK for unit in units)

    def begin(self, unit: int, place: int) -> bool:
        """Counts a try of the operator at the place; False if the unit has had all of its tries there."""
        for number in range(1, self._most + 1):
            # Of two that put one key, one is told that it was there: that makes it a count.
            there = _internal_kv_put(self._key(unit, place, number), b"1", overwrite=False, namespace=_NAMESPACE)
            if not there:
                return True
        return False

    def exhausted(self, unit: int, places: int) -> bool:
        """Whether the unit has no try left at one of so many operators."""
        keys = [self._key(unit, place, self._most) for place in range(places)]
        return any(_internal_kv_exists(key, namespace=_NAMESPACE) for key in keys)

    def forgive(self, unit: int, places: Iterable[int]) -> None:
        """Counts a unit's tries at these operators anew: what happened to it was no fault of its own."""
        # Key by key: to delete by a prefix, the head looks at every key that it has.
        for place in places:
            for number in range(1, self._most + 1):
                _internal_kv_del(self._key(unit, place, number), namespace=_NAMESPACE)

    def done(self, unit: int) -> None:
        """The unit will not be tried again."""
        block = unit // _BLOCK
        self._left[block] -= 1
        if not self._left[block]:
            _internal_kv_del(f"{self._prefix}-{block}-", del_by_prefix=True, namespace=_NAMESPACE)

    def forget(self) -> None:
        """Gives back what the counts take up."""
        _internal_kv_del(self._prefix, del_by_prefix=True, namespace=_NAMESPACE)

    def _key(self, unit: int, place: int, number: int) -> bytes:
        return f"{self._prefix}-{unit // _BLOCK}-{unit}-{place}-{number}".encode()
