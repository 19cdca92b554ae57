"""Reads the JSON records of a run; one that is damaged is named, and never taken for one that is not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import ValidationError

from curation.errors import CorruptionError
from curation.storage.layout import record_numbers
from curation.storage.store import Store
from schemas.records import Record

R = TypeVar("R", bound=Record)

VERIFY_HINT = "`curation verify` tells what is damaged, and with --repair lets the next run make it again"
"""What to do about a file that is not what was committed."""


def read_record(store: Store, path: str, kind: type[R]) -> R:
    """The record in a file.

    Raises:
        FileNotFoundError: There is no such file.
        CorruptionError: There is, and it is not such a record.
    """
    return parse_record(store, path, store.read_bytes(path), kind)


def parse_record(store: Store, path: str, document: bytes, kind: type[R]) -> R:
    """The record that a file holds, of which the content has been read. Raises CorruptionError."""
    try:
        return kind.model_validate_json(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise CorruptionError(
            f"{store.locate(path)}: not a record of this version ({first['msg']}); {VERIFY_HINT}"
        ) from error


def read_records(store: Store, paths: Sequence[str], kind: type[R]) -> dict[str, R]:
    """The records in those of the files that are there, by path. Raises CorruptionError."""
    documents = zip(paths, store.read_many(paths), strict=True)
    return {path: parse_record(store, path, document, kind) for path, document in documents if document is not None}


def read_numbered(store: Store, names: list[str], path_of: Callable[[int], str], kind: type[R]) -> tuple[R, ...]:
    """Records that are numbered without gaps, by number.

    Args:
        names: As their folder is listed. Of a listing that lags behind, the end is looked for by name.
        path_of: The file of a number.

    Raises:
        CorruptionError: One cannot be read.
    """
    numbers = record_numbers(names)
    found = read_records(store, [path_of(number) for number in numbers], kind)
    following = 1 + max(numbers, default=0)
    while more := read_records(store, [path_of(following)], kind):
        found |= more
        following += 1
    return tuple(found.values())
