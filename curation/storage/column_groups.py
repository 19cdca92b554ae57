"""Column groups: Parquet files that hold some columns of some rows, written once and read by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.errors import CorruptionError
from curation.storage.hashing import HashingWriter
from curation.storage.parquet_files import (
    footer_crc32,
    groups_within,
    naming_damage,
    open_bytes,
    open_parquet,
)
from curation.storage.store import Store
from curation.storage.stored_records import VERIFY_HINT
from schemas.columns import COLUMNS, PDQ_DIHEDRAL, Role
from schemas.records import ColumnFile

PAYLOAD_ROW_GROUP = 128
"""Rows of a row group where there are images: a shard that needs a few rows of a part reads a few megabytes."""
SCALAR_ROW_GROUP = 65_536
_REPETITIVE = frozenset(
    {
        "outcome",
        "step",
        "reason",
        "detail",
        "content_type",
        "image_format",
        "original_format",
        "clip_model",
        "text_language",
    }
)
_DENSE = frozenset({"image", "sha256", "pdq", "pdq_inner", *PDQ_DIHEDRAL})
"""Not compressed: images are already, and halving hashes takes more time than reading them whole (ADR 0036)."""


def write_columns(store: Store, path: str, table: pa.Table) -> ColumnFile:
    """Writes a table: the same bytes for the same values."""
    return write_column_pieces(store, path, table.schema, [table])


def write_column_pieces(store: Store, path: str, schema: pa.Schema, pieces: Iterable[pa.Table]) -> ColumnFile:
    """Writes a table that comes in pieces: the same bytes as if it came at once. Nothing is left if a piece fails."""
    schema = schema.remove_metadata()
    heavy = [name for name in schema.names if name in COLUMNS and COLUMNS[name].role is Role.PAYLOAD]
    group_rows = PAYLOAD_ROW_GROUP if heavy else SCALAR_ROW_GROUP
    # Bounds of texts are looked at by nobody, and take a tenth of the time of writing.
    numbers = [field.name for field in schema if pa.types.is_primitive(field.type)]
    rows = 0
    with store.open_write(path) as raw:
        file = HashingWriter(raw)
        with pq.ParquetWriter(
            file,
            schema,
            compression={name: "NONE" if name in _DENSE else "ZSTD" for name in _leaf_names(schema)},
            use_dictionary=[name for name in schema.names if name in _REPETITIVE],
            # Rows ascend, so that differences are small: read in a fifth of the time, and next to nothing to keep.
            column_encoding={"row": "DELTA_BINARY_PACKED"} if "row" in schema.names else None,
            write_statistics=["row"] if heavy else numbers,
            store_schema=True,
            write_page_checksum=True,
        ) as writer:
            for groups in _whole_groups(schema, pieces, group_rows):
                writer.write_table(groups, row_group_size=group_rows)
                rows += groups.num_rows
            # What is left to be written is the footer.
            file.keep()
    return ColumnFile(**file.record(path, rows).model_dump(), footer_crc32=footer_crc32(file.kept))


def _whole_groups(schema: pa.Schema, pieces: Iterable[pa.Table], group_rows: int) -> Iterator[pa.Table]:
    """Tables of whole row groups, in one chunk each; the last has the rest, and is empty if there are no rows."""
    waiting, some = schema.empty_table(), False
    for piece in pieces:
        # Pages follow the chunks of a table, and those follow how its rows came together.
        table = pa.concat_tables([waiting, piece.replace_schema_metadata(None)]).combine_chunks()
        whole = table.num_rows - table.num_rows % group_rows
        if whole:
            yield table.slice(0, whole)
            some = True
        waiting = table.slice(whole)
    if waiting.num_rows or not some:
        yield waiting.combine_chunks()


def _leaf_names(schema: pa.Schema) -> list[str]:
    return [leaf for field in schema for leaf in _leaves(field.name, field.type)]


def _leaves(prefix: str, kind: pa.DataType) -> list[str]:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _leaves(f"{prefix}.list.element", kind.value_type)
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in _leaves(f"{prefix}.{field.name}", field.type)]
    return [prefix]


def read_columns(store: Store, file: ColumnFile, columns: Sequence[str], rows: np.ndarray | None = None) -> pa.Table:
    """Reads columns of a file, for the given rows alone if any are given; row groups without any are not read.

    Args:
        rows: (n,) int64, sorted.

    Raises:
        CorruptionError: The file is gone or is no longer what was committed.
        TransientError: The store did not give it this time.
    """
    with _opened(store, file) as parquet:
        names = list(dict.fromkeys(["row", *columns]))
        _check_names(store, file, parquet, names)
        return parquet.read(names) if rows is None else _read_selected(parquet, names, rows)


def read_where(store: Store, file: ColumnFile, columns: Sequence[str], name: str, value: int) -> pa.Table:
    """Reads columns of the rows that have one value in a column of whole numbers. Raises as `read_columns`."""
    with _opened(store, file) as parquet:
        _check_names(store, file, parquet, [*columns, name])
        groups = groups_within(parquet.metadata, name, value, value)
        table = parquet.read_row_groups(list(groups), [*columns, name])
    return table.filter(pc.equal(table[name], value)).select(list(columns))


def read_all(store: Store, file: ColumnFile) -> pa.Table:
    """Reads a file with all its columns. Raises as `read_columns`."""
    with _opened(store, file) as parquet:
        return parquet.read()


def _check_names(store: Store, file: ColumnFile, parquet: pq.ParquetFile, names: Iterable[str]) -> None:
    if missing := sorted(set(names).difference(parquet.schema_arrow.names)):
        raise CorruptionError(f"{store.locate(file.path)}: has no column {', '.join(missing)}; {VERIFY_HINT}")


@contextmanager
def _opened(store: Store, file: ColumnFile) -> Iterator[pq.ParquetFile]:
    """The file, and what is raised while it is read as `read_columns` has it."""
    with (
        naming_damage(store.locate(file.path)),
        open_bytes(store, file.path, file.size_bytes) as raw,
        open_parquet(raw, is_local=store.is_local, crc32=file.footer_crc32) as parquet,
    ):
        if parquet.metadata.num_rows != file.rows:
            raise CorruptionError(f"{store.locate(file.path)}: holds {parquet.metadata.num_rows} rows, not {file.rows}")
        yield parquet


def _read_selected(parquet: pq.ParquetFile, names: list[str], rows: np.ndarray) -> pa.Table:
    """Reads the keys of the row groups whose range meets the rows, then the other columns where a row is held."""
    groups, masks = [], []
    within = groups_within(parquet.metadata, "row", int(rows[0]), int(rows[-1])) if len(rows) else ()
    for group in within:
        held = parquet.read_row_group(group, ["row"])["row"].to_numpy()
        wanted = np.isin(held, rows, assume_unique=True)
        if wanted.any():
            groups.append(group)
            masks.append(wanted)
    if not groups:
        return parquet.schema_arrow.empty_table().select(names)
    table = parquet.read_row_groups(groups, names)
    mask = np.concatenate(masks)
    return table if mask.all() else table.filter(pa.array(mask))
