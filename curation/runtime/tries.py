"""How often each operator began each unit, noted where no worker's end can forget it: in Ray's table of keys."""

from __future__ import annotations

import uuid

from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_exists, _internal_kv_put

_NAMESPACE = "curation"


class Tries:
    """Counts the tries of a pipeline's units. Travels to workers by pickling; all copies count together.

    Ray tries a unit again without end when its worker dies: the count ends that. The head keeps it, whose loss ends the
    driver as well, and no process has to be started for it. The first try of a unit costs one message.

    Args:
        most: Tries of a unit that each operator has.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._prefix = f"tries-{uuid.uuid4().hex}"

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

    def forget(self) -> None:
        """Gives back what the counts take up."""
        _internal_kv_del(self._prefix, del_by_prefix=True, namespace=_NAMESPACE)

    def _key(self, unit: int, place: int, number: int) -> bytes:
        return f"{self._prefix}-{place}-{unit}-{number}".encode()
