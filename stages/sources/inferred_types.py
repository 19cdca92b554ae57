"""The types of columns that come as text: the narrowest that every value fits, without loss.

A column starts with all candidates, every value takes some away, and what is left is intersected over blocks and files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

Candidates = frozenset[str]

ALL: Candidates = frozenset({"int64", "double", "bool"})
_NONE: Candidates = frozenset()
_OF_KIND: dict[type, Candidates] = {bool: frozenset({"bool"}), float: frozenset({"double"})}
_PREFERENCE = {"int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_()}
# Digits are bounded so that no identifier is rounded, and a leading zero, as in a postal code, makes no number.
_PATTERNS = {
    "int64": r"^-?(0|[1-9][0-9]{0,17})$",
    "double": r"^(-?(0|[1-9][0-9]{0,14})|-?(0|[1-9][0-9]*)?\.[0-9]+([eE][-+]?[0-9]+)?"
    r"|-?(0|[1-9][0-9]*)(\.[0-9]*)?[eE][-+]?[0-9]+|nan|NaN|-?inf)$",
    "bool": r"^([Tt]rue|[Ff]alse|TRUE|FALSE)$",
}


def candidates_of_texts(values: pa.Array | pa.ChunkedArray, among: Candidates = ALL) -> Candidates:
    """Which of the candidates every text of the column can be read as."""
    return frozenset(
        name for name in among if pc.all(pc.match_substring_regex(values, _PATTERNS[name]), min_count=0).as_py()
    )


def candidates_of_values(values: Sequence[Any]) -> Candidates:
    """Which types the values of JSON all fit."""
    left = ALL
    for kind in set(map(type, values)):
        left &= _candidates_of_kind(kind, values)
    return left


def _candidates_of_kind(kind: type, values: Sequence[Any]) -> Candidates:
    if kind is type(None):
        return ALL
    if kind is int:
        largest = max(abs(value) for value in values if type(value) is int)
        exact = frozenset({"int64"}) if largest < 2**63 else _NONE
        return exact | {"double"} if largest <= 2**53 else exact
    return _OF_KIND.get(kind, _NONE)


def resolve(candidates: Candidates) -> pa.DataType:
    """The type to read a column as; text where nothing else is left, or nothing was ever there."""
    if candidates == ALL:
        return pa.string()
    return next((kind for name, kind in _PREFERENCE.items() if name in candidates), pa.string())


def to_metadata(candidates: Mapping[str, Candidates]) -> str:
    """The candidates of all columns as text."""
    return json.dumps({name: sorted(found) for name, found in candidates.items()}, sort_keys=True)


def from_metadata(text: str) -> dict[str, Candidates]:
    """What `to_metadata` wrote."""
    return {name: frozenset(found) for name, found in json.loads(text).items()}
