"""Which rows some removals mean: by key, by any spelling of a URL, by domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from curation.removals.hashes import Salted, parent_domains, url_form, url_host
from schemas.records import Removal

Numbers = npt.NDArray[np.int32]

_AUTHORITY = r"^((?i:https?)://[A-Za-z0-9._-]+(?::[0-9]*)?)(?:[/?#]|$)"
"""What alone says which host is asked. In any other spelling the whole URL is read as the fetcher reads it."""


class Matcher:
    """Gives rows the number of the first removal that means them, 0 where none does."""

    def __init__(self, removals: Sequence[Removal]) -> None:
        self._salted = Salted(removals[0].salt if removals else "00")
        self._keys = _first(removals, "keys")
        self._urls = _first(removals, "urls")
        self._hosts = set(_first(removals, "hosts"))
        self._domains = _first(removals, "domains")

    @property
    def reads_urls(self) -> bool:
        """Whether anything is removed otherwise than by key."""
        return bool(self._urls or self._domains)

    def by_key(self, keys: pl.Series) -> Numbers:
        """(n,) int32."""
        if not self._keys:
            return np.zeros(len(keys), np.int32)
        known = pl.DataFrame(
            {"key": list(self._keys), "number": list(self._keys.values())}, {"key": pl.String, "number": pl.Int32}
        )
        found = keys.alias("key").to_frame().join(known, on="key", how="left", maintain_order="left")
        return found["number"].fill_null(0).cast(pl.Int32).to_numpy()

    def by_url(self, urls: pl.Series) -> Numbers:
        """(n,) int32. Plain URLs are looked at one by one only where a removal names their host."""
        numbers = np.zeros(len(urls), np.int32)
        if not self.reads_urls:
            return numbers
        frame = pl.DataFrame({"url": urls.cast(pl.String)}).with_row_index("place").drop_nulls("url")
        frame = frame.with_columns(authority=pl.col("url").str.extract(_AUTHORITY).fill_null(pl.col("url")))
        distinct = frame["authority"].unique()
        hosts = [url_host(authority) for authority in distinct]
        by_domain = [self._by_domain(host) for host in hosts]
        is_named = [self._salted.hash(host) in self._hosts for host in hosts]
        types = {"authority": pl.String, "by_domain": pl.Int32, "is_named": pl.Boolean}
        judged = pl.DataFrame({"authority": distinct, "by_domain": by_domain, "is_named": is_named}, types)
        frame = frame.join(judged, on="authority", how="left")
        whole = frame.filter(pl.col("by_domain") > 0)
        numbers[whole["place"].to_numpy()] = whole["by_domain"].to_numpy()
        for place, url in frame.filter("is_named").select("place", "url").iter_rows():
            number = self._urls.get(self._salted.hash(url_form(url)), 0)
            numbers[place] = min(filter(None, (number, numbers[place])), default=0)
        return numbers

    def _by_domain(self, host: str) -> int:
        if not host or not self._domains:
            return 0
        found = (self._domains.get(self._salted.hash(domain), 0) for domain in parent_domains(host))
        return min(filter(None, found), default=0)

    def by_any(self, table: pl.DataFrame, url_columns: Sequence[str]) -> Numbers:
        """(n,) int32, by the column `key` and by columns of URLs, or of lists of URLs."""
        numbers = self.by_key(table["key"])
        for name in url_columns if self.reads_urls else ():
            column = table[name]
            if isinstance(column.dtype, pl.List):
                single = table.select(pl.col(name)).with_row_index("place").explode(name).drop_nulls(name)
                found = self.by_url(single[name])
                numbers = _earlier(numbers, _by_place(single["place"].to_numpy(), found, len(numbers)))
            else:
                numbers = _earlier(numbers, self.by_url(column))
        return numbers


def _first(removals: Sequence[Removal], field: str) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for removal in removals:
        for value in getattr(removal, field):
            found.setdefault(value, removal.number)
    return found


def _earlier(one: Numbers, other: Numbers) -> Numbers:
    return np.where((one == 0) | ((other > 0) & (other < one)), other, one).astype(np.int32)


def _by_place(places: np.ndarray, numbers: Numbers, rows: int) -> Numbers:
    largest = np.iinfo(np.int32).max
    smallest = np.full(rows, largest, np.int32)
    np.minimum.at(smallest, places, np.where(numbers > 0, numbers, largest))
    return np.where(smallest == largest, 0, smallest).astype(np.int32)
