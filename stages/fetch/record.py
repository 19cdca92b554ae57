"""The record of every fetch as columns, and the marks of the rows that end with it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import pyarrow as pa

from curation.contracts.marks import Mark, failed, unchanged, with_marks
from curation.contracts.pieces import uncopied, with_columns
from curation.contracts.stage import earlier_values
from curation.net.fetched import Fetched, Validators
from schemas.columns import schema_of
from stages.fetch.verification import Expected, sha256_digests

REVISITS = ("final_url", "etag", "last_modified", "sha256")
"""What of an earlier fetch tells whether the body is still the same."""

_VALUES: dict[str, Callable[[Fetched], Any]] = {
    "http_status": lambda fetched: fetched.status,
    "final_url": lambda fetched: fetched.final_url,
    "redirects": lambda fetched: fetched.redirects,
    "redirect_chain": lambda fetched: fetched.redirect_chain or None,
    "content_type": lambda fetched: fetched.content_type,
    "body_bytes": lambda fetched: None if fetched.body is None else len(fetched.body),
    "etag": lambda fetched: fetched.etag,
    "last_modified": lambda fetched: fetched.last_modified,
    "fetch_attempts": lambda fetched: fetched.attempts,
    "fetch_s": lambda fetched: fetched.seconds,
    "dns_s": lambda fetched: fetched.timing.dns,
    "connect_s": lambda fetched: fetched.timing.connect,
    "first_byte_s": lambda fetched: fetched.timing.first_byte,
    "body_s": lambda fetched: fetched.timing.body,
}
ADDS = ("body", "sha256", *_VALUES)
_SCHEMA = schema_of(*ADDS)

Wanted = tuple[str | None, Validators | None]


class PartRecord:
    """The rows of a part, grouped by what is asked for: the same URL twice is fetched once."""

    def __init__(
        self, table: pa.Table, verified: dict[str, str | None], wanted: Iterable[Hashable] | None = None
    ) -> None:
        """Takes the part and, for each hash algorithm, the column with the digests to verify.

        A row whose digest cannot be read wants nothing: what came could not be judged, and no host is to be asked, or
        blamed, for a mistake of the list's.

        Args:
            table: The part.
            verified: Column by the algorithm's name.
            wanted: What each row asks for, where that is not its URL.

        Raises:
            RecipeError: A column is of a type that holds no digests.
        """
        self._table = table
        self._expected = Expected(table, verified)
        self._earlier_sha256 = earlier_values(table, "sha256")
        self._refused: dict[int, Mark] = {}
        places: dict[Any, list[int]] = {}
        for place, asked in enumerate(_wanted(table) if wanted is None else wanted):
            if (refusal := self._expected.unreadable(place)) is not None:
                self._refused[place] = refusal
            else:
                places.setdefault(asked, []).append(place)
        self.wanted = list(places)
        self._places = list(places.values())

    def refused(self) -> pa.Table:
        """The rows that want nothing, failed."""
        results = [Fetched()] * len(self._refused)
        rows = self._table.take(pa.array(self._refused, pa.int64()))
        return _table_of(rows, results, [None] * len(results), list(self._refused.values()))

    def rows(self, arrivals: Iterable[tuple[int, Fetched]]) -> pa.Table:
        """The rows that wanted what has arrived, with its record; an arrival is a place in `wanted` and its result."""
        places: list[int] = []
        results: list[Fetched] = []
        digests: list[str | None] = []
        arrived = list(arrivals)
        for (index, fetched), digest in zip(arrived, sha256_digests([item.body for _, item in arrived]), strict=True):
            for place in self._places[index]:
                places.append(place)
                results.append(fetched)
                digests.append(digest)
        marks = [self._mark_of(*row) for row in zip(places, results, digests, strict=True)]
        return _table_of(self._table.take(pa.array(places, pa.int64())), results, digests, marks)

    def _mark_of(self, place: int, fetched: Fetched, sha256: str | None) -> Mark | None:
        if fetched.reason is not None:
            return failed(fetched.reason, fetched.detail)
        if fetched.unchanged or (sha256 is not None and sha256 == self._earlier_sha256[place]):
            return unchanged()
        assert fetched.body is not None
        assert sha256 is not None
        return self._expected.objection(place, fetched.body, sha256)


def _wanted(table: pa.Table) -> Iterable[Wanted]:
    """What each row asks for: its URL, and what an earlier fetch said of the version of its body."""
    columns = (table["url"].to_pylist(), *(earlier_values(table, name) for name in REVISITS[:3]))
    for url, final_url, etag, last_modified in zip(*columns, strict=True):
        known = None
        if final_url is not None and (etag is not None or last_modified is not None):
            known = Validators(final_url, etag, last_modified)
        yield url, known


def _table_of(
    rows: pa.Table, results: Sequence[Fetched], digests: Sequence[str | None], marks: Sequence[Mark | None]
) -> pa.Table:
    # What a row's end is decided on stays; the body of a row that has ended is wanted by nobody.
    bodies = [item.body if mark is None else None for item, mark in zip(results, marks, strict=True)]
    values: dict[str, Sequence[Any]] = {
        "sha256": digests,
        **{name: [value(item) for item in results] for name, value in _VALUES.items()},
    }
    arrays = [
        uncopied(bodies) if field.name == "body" else pa.array(values[field.name], field.type) for field in _SCHEMA
    ]
    return with_marks(with_columns(rows, list(_SCHEMA), arrays), marks)
