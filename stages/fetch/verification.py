"""Whether a body is the one that whoever made the list has seen: its hash against a column of the source."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from curation.contracts.marks import Mark, failed
from schemas.outcomes import FailureReason

_SHOWN_DIGITS = 12


class Expected:
    """The digests that the source gives for the rows of a table, in hexadecimal of any case or as bytes."""

    def __init__(self, table: pa.Table, columns: dict[str, str | None]) -> None:
        """Takes, for each algorithm of hashlib, the column of its digests, None for an algorithm that is not used."""
        self._digests = {name: table[column].to_pylist() for name, column in columns.items() if column is not None}

    def objection(self, place: int, body: bytes, sha256: str) -> Mark | None:
        """The failure of the row at a place whose body is another than expected. A null is not verified."""
        for name, digests in self._digests.items():
            if digests[place] is None:
                continue
            expected = _hexadecimal(digests[place])
            found = sha256 if name == "sha256" else hashlib.new(name, body, usedforsecurity=False).hexdigest()
            if found != expected:
                shown = f"{name} {found[:_SHOWN_DIGITS]}, expected {expected[:_SHOWN_DIGITS]}"
                return failed(FailureReason.HASH_MISMATCH, shown)
        return None


def verified_columns(columns: dict[str, str | None]) -> tuple[str, ...]:
    """The columns that are read for it, each once."""
    return tuple(dict.fromkeys(column for column in columns.values() if column is not None))


def sha256_digests(bodies: Sequence[bytes | None]) -> list[str | None]:
    """The SHA-256 of every body, hexadecimal."""
    return [None if body is None else hashlib.sha256(body).hexdigest() for body in bodies]


def _hexadecimal(digest: Any) -> str:
    return digest.hex() if isinstance(digest, bytes) else str(digest).strip().lower()
