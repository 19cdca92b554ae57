"""Where a source has the bytes of an image already, as text: a file, a range of one, or a value in a Parquet file."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """One place.

    Attributes:
        url: Of the file, as fsspec knows it.
        offset: First byte, None for the whole file.
        size: Number of bytes from there.
        row: In a Parquet file: the row.
        column: In a Parquet file: the column.
    """

    url: str
    offset: int | None = None
    size: int | None = None
    row: int | None = None
    column: str | None = None

    def __str__(self) -> str:
        fields = {"offset": self.offset, "size": self.size, "row": self.row, "column": self.column}
        return f"{self.url}#{urlencode({name: value for name, value in fields.items() if value is not None})}"


def parse_stored_bytes(text: str) -> StoredBytes:
    """What `str` made of a place."""
    url, _, fields = text.rpartition("#")
    given = dict(parse_qsl(fields))
    numbers = {name: int(given[name]) if name in given else None for name in ("offset", "size", "row")}
    return StoredBytes(url, **numbers, column=given.get("column"))
