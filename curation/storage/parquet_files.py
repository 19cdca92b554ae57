"""Parquet files of a run, to be read: footers are checked before Arrow believes them, and errors name the file."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from curation.errors import CorruptionError, TransientError, first_line
from curation.storage.store import Store
from curation.storage.stored_records import VERIFY_HINT

SMALL_BYTES = 1 << 20
"""A file up to this size comes from an object store with one request, which takes less time than a second one would."""
_TAIL_BYTES = 1 << 16
"""Read at once from the end of a file: most footers are smaller."""
_MARK = b"PAR1"
_ENDING_BYTES = 8
"""The length of the footer, and the mark."""


@contextmanager
def naming_damage(place: str) -> Iterator[None]:
    """Lets errors of a Parquet file that was committed say which file it is, and what to do.

    Raises:
        CorruptionError: The file is gone or is no longer what was committed.
        TransientError: The store did not give it this time.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise CorruptionError(f"{place}: was committed but is gone; {VERIFY_HINT}") from error
    # A name in the footer may no longer be UTF-8.
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if is_of_the_store(error):
            raise TransientError(f"{place}: could not be read: {error}") from error
        raise CorruptionError(f"{place}: cannot be read as Parquet: {first_line(error)}; {VERIFY_HINT}") from error


def open_bytes(store: Store, path: str, size_bytes: int | None = None) -> IO[bytes] | pa.NativeFile:
    """The bytes of a Parquet file, to be read here and there.

    Args:
        size_bytes: Where it is known: an object store is then not asked for it.
    """
    if store.is_local:
        # Arrow reads it by itself, without the lock that Python's own files are read under.
        return pa.OSFile(store.locate(path))
    if size_bytes is None or size_bytes > SMALL_BYTES:
        return store.open_read(path, in_pieces=True, size_bytes=size_bytes)
    return io.BytesIO(store.read_bytes(path))


def is_of_the_store(error: Exception) -> bool:
    """Whether an error was raised by a store, not by Arrow over what it gave.

    Arrow complains about content by a bare OSError without a number; that of a store has one, or is of a kind of its
    own: no right, no such file, a timeout.
    """
    return isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None)


def open_parquet(
    raw: IO[bytes] | pa.NativeFile,
    *,
    is_local: bool,
    crc32: int | None = None,
    metadata: pq.FileMetaData | None = None,
) -> pq.ParquetFile:
    """A Parquet file to read columns of. Their pages are checked as they are read.

    Args:
        crc32: As of `footer_crc32` when it was written; None where nobody knows: then the footer is believed.
        metadata: What its footer says, if it has been read before.

    Raises:
        pa.ArrowInvalid: It is not what was written.
    """
    if metadata is None and crc32 is not None:
        metadata = _checked_metadata(raw, crc32)
    # From an object store, column chunks that lie together come with one request.
    return pq.ParquetFile(raw, metadata=metadata, pre_buffer=not is_local, page_checksum_verification=True)


def footer_crc32(ending: bytes | bytearray) -> int:
    """CRC-32 of the footer of a Parquet file and what is behind it.

    Args:
        ending: The last bytes of the file, the footer among them.

    Raises:
        pa.ArrowInvalid: It is not the ending of a Parquet file.
    """
    length = _footer_bytes(ending)
    if length > len(ending):
        raise pa.ArrowInvalid("its footer is cut off")
    return zlib.crc32(memoryview(ending)[-length:])


def _checked_metadata(raw: IO[bytes] | pa.NativeFile, crc32: int) -> pq.FileMetaData:
    # Arrow believes what it finds: it would lead past rows where a bound of theirs had changed, and over some of what
    # it cannot understand it ends the process.
    size = raw.seek(0, io.SEEK_END)
    ending = _last(raw, size, _TAIL_BYTES)
    if (length := _footer_bytes(ending)) > len(ending):
        ending = _last(raw, size, length)
    if footer_crc32(ending) != crc32:
        raise pa.ArrowInvalid("its footer is not what was written")
    return pq.read_metadata(pa.BufferReader(ending))


def _last(raw: IO[bytes] | pa.NativeFile, size: int, count: int) -> bytes:
    raw.seek(max(size - count, 0))
    return raw.read(count)


def _footer_bytes(ending: bytes | bytearray) -> int:
    """Length of a footer and what is behind it."""
    if len(ending) < _ENDING_BYTES or ending[-len(_MARK) :] != _MARK:
        raise pa.ArrowInvalid("it does not end as a Parquet file does")
    return int.from_bytes(ending[-_ENDING_BYTES : -len(_MARK)], "little") + _ENDING_BYTES


def groups_within(metadata: pq.FileMetaData, name: str, lowest: int, highest: int) -> Sequence[int]:
    """Numbers of the row groups that may hold a value between two of a column of numbers, by their statistics."""
    groups = range(metadata.num_row_groups)
    leaves = {metadata.schema.column(number).path: number for number in range(metadata.num_columns)}
    if name not in leaves:
        # It is a column of something else, which whoever reads it finds out.
        return groups
    bounds = (metadata.row_group(group).column(leaves[name]).statistics for group in groups)
    return [
        group
        for group, bound in zip(groups, bounds, strict=True)
        if bound is None or not bound.has_min_max or (bound.min <= highest and bound.max >= lowest)
    ]
