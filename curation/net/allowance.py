"""How much a host or a domain may be asked: so many requests at a time, and no two sooner than an interval."""

from __future__ import annotations

from math import inf


class Allowance:
    """Places and the earliest time of the next request. Times are those of one clock, given by the caller.

    A rate is kept by spacing (a generic cell rate algorithm without a burst): requests never come
    in a heap, however long nobody has asked.
    """

    __slots__ = ("in_use", "interval_s", "next_at", "width")

    def __init__(self, width: int | None, rate: float | None) -> None:
        """Takes the places, None for any number, and the requests per second, None for any rate."""
        self.width = width
        self.interval_s = 0.0 if rate is None else 1.0 / rate
        self.in_use = 0
        self.next_at = 0.0

    def opens_at(self) -> float:
        """When the next request may begin; infinity while all places are taken."""
        return inf if self.width is not None and self.in_use >= self.width else self.next_at

    def take(self, at: float) -> None:
        """Takes a place for a request that begins at a time."""
        self.in_use += 1
        if self.interval_s:
            self.next_at = max(self.next_at, at) + self.interval_s

    def give_back(self, places: int = 1) -> None:
        """Frees places."""
        self.in_use = max(0, self.in_use - places)

    def rest_until(self, at: float) -> None:
        """Lets no request begin before a time."""
        self.next_at = max(self.next_at, at)
