"""Whether a body is the one that whoever made the list has seen: its hash against a column of the source."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from collections.abc import Sequence

import pyarrow as pa

from curation.contracts.marks import Mark, failed
from curation.errors import RecipeError
from schemas.outcomes import FailureReason

_DIGEST_BYTES = {"sha256": 32, "md5": 16}
_BASE64_CHARS = {"sha256": 43, "md5": 22}
"""Without padding."""
_SHOWN_DIGITS = 12
_SHOWN_CHARS = 60
_URL_SAFE = str.maketrans("-_", "+/")


class Expected:
    """The digests that the source gives for the rows of a table, in any spelling that `digest_of` knows."""

    def __init__(self, table: pa.Table, columns: dict[str, str | None]) -> None:
        """Takes, for each algorithm, the column of its digests, None for an algorithm that is not used.

        Raises:
            RecipeError: A column is of a type that holds no digests.
        """
        check_columns(table.schema, columns)
        self._unreadable: dict[int, str] = {}
        self._digests = {
            name: [self._read(name, place, value) for place, value in enumerate(table[column].to_pylist())]
            for name, column in columns.items()
            if column is not None
        }

    def unreadable(self, place: int) -> Mark | None:
        """The failure of a row whose body could not be verified, because what is given for it is no digest."""
        told = self._unreadable.get(place)
        return None if told is None else failed(FailureReason.INVALID_DIGEST, told)

    def objection(self, place: int, body: bytes, sha256: str) -> Mark | None:
        """The failure of the row at a place whose body is another than expected. Without a digest: not verified."""
        for name, digests in self._digests.items():
            expected = digests[place]
            if expected is None:
                continue
            found = sha256 if name == "sha256" else hashlib.new(name, body, usedforsecurity=False).hexdigest()
            if found != expected:
                shown = f"{name} {found[:_SHOWN_DIGITS]}, expected {expected[:_SHOWN_DIGITS]}"
                return failed(FailureReason.HASH_MISMATCH, shown)
        return None

    def _read(self, name: str, place: int, value: str | bytes | None) -> str | None:
        try:
            return digest_of(name, value)
        except ValueError as error:
            self._unreadable.setdefault(place, str(error))
            return None


def verified_columns(columns: dict[str, str | None]) -> tuple[str, ...]:
    """The columns that are read for it, each once."""
    return tuple(dict.fromkeys(column for column in columns.values() if column is not None))


def check_columns(schema: pa.Schema, columns: dict[str, str | None]) -> None:
    """Looks whether columns may hold digests; those that the schema does not have are not looked at.

    Raises:
        RecipeError: One is neither text nor binary.
    """
    for name, column in columns.items():
        if column is not None and column in schema.names and not _may_hold_digests(schema.field(column).type):
            raise RecipeError(
                f"verify_{name}: column {column} is of type {schema.field(column).type}; digests are text or binary"
            )


def digest_of(name: str, value: str | bytes | None) -> str | None:
    """A digest in lower-case hexadecimal, None where there is none: null, or nothing but blanks.

    Understood are hexadecimal of any case and base64 (of either alphabet, padded or not), both as text or as ASCII in
    bytes, with or without `md5:` or `sha256-` before them; and the digest's bytes themselves.

    Args:
        name: The algorithm, `sha256` or `md5`.
        value: As the source gives it.

    Raises:
        ValueError: It is something else.
    """
    if value is None or not value.strip():
        return None
    size = _DIGEST_BYTES[name]
    if isinstance(value, bytes) and len(value) == size:
        return value.hex()
    text = (value.decode("ascii", "replace") if isinstance(value, bytes) else value).strip()
    # As it stands first: what looks like the prefix may be the beginning of base64 in the alphabet for URLs.
    for candidate in (text, re.sub(f"^{name}[:-]", "", text, flags=re.IGNORECASE)):
        if re.fullmatch(rf"[0-9A-Fa-f]{{{2 * size}}}", candidate):
            return candidate.lower()
        if re.fullmatch(rf"[A-Za-z0-9+/_-]{{{_BASE64_CHARS[name]}}}={{0,2}}", candidate):
            return b64decode(candidate.rstrip("=").translate(_URL_SAFE) + "==").hex()
    shown = repr(value if len(value) <= _SHOWN_CHARS else value[:_SHOWN_CHARS])
    raise ValueError(f"{shown} is no {name} in hexadecimal or base64")


def _may_hold_digests(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    is_binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    return is_text or is_binary or pa.types.is_fixed_size_binary(kind) or pa.types.is_null(kind)


def sha256_digests(bodies: Sequence[bytes | None]) -> list[str | None]:
    """The SHA-256 of every body, hexadecimal."""
    return [None if body is None else hashlib.sha256(body).hexdigest() for body in bodies]
