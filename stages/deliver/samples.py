"""The files of a sample in a WebDataset tar, and the tar itself: the same bytes for the same rows, always."""

from __future__ import annotations

import base64
import json
import math
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import CorruptionError
from schemas.columns import COLUMNS, Role

IMAGE_FORMATS = ("jpg", "png", "webp")
"""Formats that WebDataset's decoders, and open_clip's loader, know as images by these names."""

_KEY = re.compile(r"[0-9a-f]{32}")

Member = tuple[str, bytes]
"""Name and content of one file of a tar."""


def _plain_header() -> bytes:
    entry = tarfile.TarInfo()
    entry.mode = 0o644
    return entry.tobuf(tarfile.USTAR_FORMAT)


# What all headers have in common: they differ in name, size and checksum.
_SIZE_DIGITS = 11
_HEADER = _plain_header()
_OWNER, _MTIME, _REST = _HEADER[100:124], _HEADER[135:148], _HEADER[154:]
# The checksum counts itself as eight spaces.
_PLAIN_SUM = sum(_OWNER) + sum(_MTIME) + 8 * ord(" ") + sum(_HEADER[156:])


def ordered_columns(names: Iterable[str]) -> list[str]:
    """The registered columns in the order of the registry, then the carried ones in their own."""
    names = list(names)
    return [name for name in COLUMNS if name in names] + [name for name in names if name not in COLUMNS]


def sample_members(table: pa.Table, images: Iterable[bytes], texts: Sequence[str]) -> Iterator[list[Member]]:
    """The three files of every row: the image, the text and the JSON.

    Raises:
        CorruptionError: A key or an image is not what the engine makes.
    """
    keys, formats = table["key"].to_pylist(), table["image_format"].to_pylist()
    for key, kind, image, text, document in zip(keys, formats, images, texts, json_documents(table), strict=True):
        if not _KEY.fullmatch(key or "") or kind not in IMAGE_FORMATS or not image:
            raise CorruptionError(f"the sample {key!r} has the image format {kind!r} and {len(image or b'')} bytes")
        yield [(f"{key}.{kind}", image), (f"{key}.txt", text.encode()), (f"{key}.json", document)]


def write_tar(file: IO[bytes], samples: Iterable[list[Member]]) -> None:
    """Writes the samples as a tar in which nothing depends on the time, the user or the machine.

    The bytes are those that `tarfile` would write; it takes longer over its headers than the disk over a sample.
    """
    written = 0
    for members in samples:
        data = b"".join(piece for name, content in members for piece in _entry(name.encode(), content))
        file.write(data)
        written += len(data)
    # Two empty blocks end a tar, and its length is one of whole records.
    length = written + 2 * tarfile.BLOCKSIZE
    file.write(bytes(length + -length % tarfile.RECORDSIZE - written))


def _entry(name: bytes, content: bytes) -> tuple[bytes, bytes, bytes]:
    """Header, content and padding of one file."""
    size = b"%011o" % len(content)
    if len(name) > tarfile.LENGTH_NAME or len(size) > _SIZE_DIGITS:
        raise ValueError(f"{name[:100]!r} of {len(content)} bytes does not fit an entry of a tar")
    checksum = b"%06o" % (_PLAIN_SUM + sum(name) + sum(size))
    header = b"".join((name.ljust(tarfile.LENGTH_NAME, b"\0"), _OWNER, size, _MTIME, checksum, _REST))
    return header, content, bytes(-len(content) % tarfile.BLOCKSIZE)


def json_documents(table: pa.Table) -> list[bytes]:
    """Every row as compact UTF-8 JSON: its columns except embeddings and the image, keys in the order of the columns.

    JSON knows no NaN, no bytes and no dates: a number that is not finite becomes null, bytes become Base64, dates and
    times ISO 8601. A float32 has as few digits as tell it from its neighbours.
    """
    names = [name for name in ordered_columns(table.column_names) if not _is_payload(name)]
    if not names:
        return [b"{}"] * table.num_rows
    columns = [_json_values(table[name]) for name in names]
    return [
        json.dumps(
            dict(zip(names, row, strict=True)), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
        for row in zip(*columns, strict=True)
    ]


def _is_payload(name: str) -> bool:
    return name in COLUMNS and COLUMNS[name].role is Role.PAYLOAD


def _json_values(column: pa.ChunkedArray) -> list[Any]:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return column.to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_float32(kind):
        # By way of text: Arrow writes the shortest decimal that reads back as the same float32.
        column = pc.cast(pc.cast(column, pa.string()), pa.float64())
    elif pa.types.is_timestamp(kind):
        column = pc.cast(column, pa.string())
    return [_plain(value, kind) for value in column.to_pylist()]


def _plain(value: Any, kind: pa.DataType) -> Any:
    """The value as JSON knows it."""
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            return None
        return float(str(np.float32(value))) if pa.types.is_float32(kind) else float(value)
    if isinstance(value, dict):
        return {name: _plain(inner, kind.field(name).type) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        inner_kind = getattr(kind, "value_type", pa.null())
        return [_plain(inner, inner_kind) for inner in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return str(value)
    return value
