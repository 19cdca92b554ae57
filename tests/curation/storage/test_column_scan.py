"""Scans that check what they read, against the same columns read at once."""

import os

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.errors import CorruptionError
from curation.storage.column_groups import write_columns
from curation.storage.column_scan import BATCH_ROWS, ScannedFile, scan_columns
from curation.storage.store import Store

SCHEMA = pa.schema([("row", pa.int64()), ("width", pa.int32()), ("outcome", pa.string())])


def table(start, count):
    rows = range(start, start + count)
    outcomes = [None if row % 3 else "rejected" for row in rows]
    return pa.table({"row": list(rows), "width": [row * 2 for row in rows], "outcome": outcomes}, schema=SCHEMA)


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path))


def scanned(store, *tables, footers_known=True, **options):
    written = [write_columns(store, f"{place}.parquet", one) for place, one in enumerate(tables)]
    files = [
        ScannedFile(file.path, file.rows, file.size_bytes, file.footer_crc32 if footers_known else None)
        for file in written
    ]
    return scan_columns(store, files, SCHEMA, **options)


def flip_in(store, path, column):
    """Turns over one bit in the last page of a column."""
    found = pq.ParquetFile(store.locate(path)).metadata.row_group(0)
    chunk = found.column([found.column(i).path_in_schema for i in range(found.num_columns)].index(column))
    start = chunk.data_page_offset if chunk.dictionary_page_offset is None else chunk.dictionary_page_offset
    content = bytearray(store.read_bytes(path))
    content[start + chunk.total_compressed_size - 1] ^= 1
    store.write_bytes(path, bytes(content))


def test_all_rows_come_in_order_when_files_are_small_large_or_empty(store):
    pieces = [table(0, 5), table(5, 0), table(5, BATCH_ROWS + 7), table(BATCH_ROWS + 12, 1)]
    frame = scanned(store, *pieces)
    expected = pl.DataFrame(pl.from_arrow(pa.concat_tables(pieces)))
    assert frame.collect(engine="streaming").equals(expected)
    assert frame.filter(pl.col("outcome").is_null()).select(pl.len()).collect(engine="streaming").item() == sum(
        row % 3 > 0 for row in expected["row"]
    )


def test_no_empty_frame_is_handed_on_when_a_condition_leaves_nothing_of_some_files(store):
    frame = scanned(store, table(0, 21)).filter(pl.col("row") > 12)
    named = frame.select(pl.format("rule.{}", pl.when(pl.col("row") == 20).then(pl.lit("last"))))
    assert named.collect(engine="streaming").to_series().to_list() == [None] * 7 + ["rule.last"]


def test_texts_of_rows_that_a_condition_leaves_out_are_not_kept_when_the_others_are_held(store):
    rows = 4 * BATCH_ROWS
    texts = pa.array([f"{row:0100d}" for row in range(rows)])
    pieces = pa.table({"row": range(rows), "width": pa.nulls(rows, pa.int32()), "outcome": texts}, schema=SCHEMA)
    frame = scanned(store, pieces)
    before = pa.total_allocated_bytes()
    few = frame.filter(pl.col("row") % 4096 == 7).collect(engine="streaming")
    assert few["outcome"].to_list() == [f"{row:0100d}" for row in range(7, rows, 4096)]
    assert pa.total_allocated_bytes() - before < 100 * rows // 10


def test_file_is_closed_when_several_threads_have_read_it(store):
    frame = scanned(store, table(0, 9 * BATCH_ROWS), table(9 * BATCH_ROWS, 3))
    assert frame.select(pl.col("row").sum()).collect(engine="streaming").item() == sum(range(9 * BATCH_ROWS + 3))
    opened = {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}
    assert not [path for path in opened if path.startswith(os.path.realpath(store.locate("")))]


def test_first_rows_are_counted_before_they_are_judged_when_both_are_asked_for(store):
    frame = scanned(store, table(0, BATCH_ROWS + 5), table(BATCH_ROWS + 5, 20))
    first = frame.head(BATCH_ROWS + 8).filter(pl.col("row") >= BATCH_ROWS).select("row")
    assert first.collect(engine="streaming")["row"].to_list() == list(range(BATCH_ROWS, BATCH_ROWS + 8))
    assert frame.head(0).collect(engine="streaming").is_empty()


def test_rows_of_a_range_come_alone_when_one_is_given(store):
    frame = scanned(store, table(0, 200_000), rows=range(70_000, 70_003))
    assert frame.select("width").collect()["width"].to_list() == [140_000, 140_002, 140_004]


@pytest.mark.parametrize("column", ["row", "width", "outcome"])
def test_the_file_is_named_when_a_column_that_is_read_is_damaged(store, column):
    frame = scanned(store, table(0, 10), table(10, 10))
    flip_in(store, "1.parquet", column)
    with pytest.raises(CorruptionError, match=r"1\.parquet: .*`curation verify`"):
        frame.select(column).collect(engine="streaming")


def test_nothing_is_said_when_another_column_is_damaged(store):
    frame = scanned(store, table(0, 10))
    flip_in(store, "0.parquet", "outcome")
    assert frame.select("width").collect()["width"].to_list() == list(range(0, 20, 2))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (table(0, 9), "holds 9 rows, not 10"),
        (table(0, 10).drop_columns("width"), "has no column width"),
        (table(0, 10).set_column(1, "width", pa.array(range(10), pa.int64())), "width is int64, not int32"),
    ],
)
def test_the_file_is_named_when_it_is_another_one(store, written, said):
    noted = scanned(store, table(0, 10))
    believed = scanned(store, table(0, 10), footers_known=False)
    write_columns(store, "0.parquet", written)
    with pytest.raises(CorruptionError, match=rf"0\.parquet: .*{said}"):
        believed.collect()
    with pytest.raises(CorruptionError, match=r"0\.parquet: .*its footer is not what was written"):
        noted.collect()


def test_the_file_is_named_when_it_is_gone_or_cut(store):
    frame = scanned(store, table(0, 10))
    store.write_bytes("0.parquet", store.read_bytes("0.parquet")[:-100])
    with pytest.raises(CorruptionError, match=r"0\.parquet: cannot be read as Parquet"):
        frame.collect()
    store.delete("0.parquet")
    with pytest.raises(CorruptionError, match=r"0\.parquet: was committed but is gone"):
        frame.collect()


def test_columns_are_null_when_a_file_may_lack_them(store):
    frame = scanned(store, table(0, 2), table(2, 1).drop_columns("width"), may_lack=True)
    assert frame.select("width").collect()["width"].to_list() == [0, 2, None]
