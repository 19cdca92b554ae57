"""Parquet files of a run whose footers are checked before Arrow believes them."""

import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.errors import CorruptionError
from curation.storage import parquet_files
from curation.storage.column_groups import read_columns, read_where, write_column_pieces, write_columns
from curation.storage.column_scan import ScannedFile, scan_columns
from curation.storage.parquet_files import groups_within
from curation.storage.store import Store

SCHEMA = pa.schema([("row", pa.int64()), ("key", pa.string())])


def table_of(rows):
    return pa.table({"row": list(rows), "key": [f"key {row}" for row in rows]}, SCHEMA)


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path))


def footer_of(content):
    return content[-int.from_bytes(content[-8:-4], "little") - 8 :]


def scanned(store, file, rows):
    asked = [ScannedFile(file.path, file.rows, file.size_bytes, file.footer_crc32)]
    return scan_columns(store, asked, SCHEMA, rows=rows).collect(engine="streaming")


@pytest.mark.parametrize("rows", [0, 300])
def test_checksum_is_that_of_the_footer_when_a_file_is_written(store, rows):
    file = write_columns(store, "a.parquet", table_of(range(rows)))
    assert file.footer_crc32 == zlib.crc32(footer_of(store.read_bytes("a.parquet")))


@pytest.mark.parametrize(
    "read",
    [
        lambda store, file: read_columns(store, file, ["key"], np.array([7])),
        lambda store, file: read_where(store, file, ["key"], "row", 7),
        lambda store, file: scanned(store, file, range(5, 9)),
    ],
    ids=["rows", "where", "scan"],
)
def test_the_file_is_named_when_a_bit_of_its_footer_is_another(store, read):
    # Unchecked, some would lead past the rows, and some would end the process.
    file = write_columns(store, "a.parquet", table_of(range(300)))
    whole = store.read_bytes("a.parquet")
    begin = len(whole) - len(footer_of(whole))
    assert len(read(store, file)) in (1, 4)
    for place in range(begin, len(whole), 5):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        store.write_bytes("a.parquet", bytes(damaged))
        with pytest.raises(
            CorruptionError, match=r"a\.parquet: cannot be read as Parquet: its? (footer is|does not end)"
        ):
            read(store, file)


def test_a_footer_is_read_whole_when_it_is_long(store, monkeypatch):
    monkeypatch.setattr(parquet_files, "_TAIL_BYTES", 100)
    file = write_columns(store, "a.parquet", table_of(range(300)))
    assert read_columns(store, file, ["key"], np.array([299]))["key"].to_pylist() == ["key 299"]


@pytest.mark.parametrize("known", [True, False], ids=["this release", "an earlier one"])
def test_groups_without_the_rows_are_not_read_whether_or_not_the_footer_has_a_checksum(store, monkeypatch, known):
    pieces = [table_of(range(start, start + 65_536)) for start in range(0, 3 * 65_536, 65_536)]
    file = write_column_pieces(store, "a.parquet", SCHEMA, pieces)
    read, of_file = [], pq.ParquetFile.read_row_groups
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_groups",
        lambda self, groups, names: read.extend(groups) or of_file(self, groups, names),
    )
    stated = file if known else file.model_copy(update={"footer_crc32": None})
    assert scanned(store, stated, range(70_000, 70_003))["row"].to_list() == [70_000, 70_001, 70_002]
    assert read_columns(store, stated, ["key"], np.array([131_072]))["key"].to_pylist() == ["key 131072"]
    assert read_where(store, stated, ["key"], "row", 5)["key"].to_pylist() == ["key 5"]
    assert read == [1, 2, 0]


def test_bounds_are_those_of_the_column_when_lists_of_several_stand_before_it(store):
    pairs = pa.array([[{"row": 5, "score": 0.5}]] * 9)
    write_columns(store, "a.parquet", pa.table({"captions": pairs, "row": list(range(100, 109))}))
    metadata = pq.read_metadata(store.locate("a.parquet"))
    assert list(groups_within(metadata, "row", 104, 104)) == [0]
    assert list(groups_within(metadata, "row", 5, 5)) == []
