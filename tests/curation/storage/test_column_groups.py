"""Column groups: written once, read by row, and never wrong in silence."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.errors import CorruptionError, TransientError
from curation.storage.column_groups import PAYLOAD_ROW_GROUP, read_columns, write_columns
from curation.storage.store import Store
from schemas.columns import COLUMNS


def images_of(rows):
    return [f"image {row} ".encode() * 40 for row in rows]


def table_of(rows, *, payload=True):
    rows = list(rows)
    captions = [[{"text": f"t{row}", "model": "m", "prompt": None, "score": 0.5}] for row in rows]
    columns = {
        "row": (rows, pa.int64()),
        "key": ([f"{row:032x}" for row in rows], pa.string()),
        "text_words": ([row % 5 for row in rows], pa.int32()),
        "captions": (captions, COLUMNS["captions"].type),
    }
    if payload:
        columns["image"] = (images_of(rows), pa.large_binary())
        columns["image_embedding"] = ([[0.5, -1.0]] * len(rows), COLUMNS["image_embedding"].type)
    return pa.table({name: pa.array(values, kind) for name, (values, kind) in columns.items()})


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path))


def test_every_value_comes_back_when_written(store):
    table = table_of(range(300))
    file = write_columns(store, "a.parquet", table)
    again = read_columns(store, file, table.column_names)
    assert again.equals(table)
    assert file.rows == 300
    assert file.size_bytes == store.size("a.parquet")


def test_images_and_hashes_are_not_compressed_when_written(store):
    table = (
        table_of(range(9))
        .append_column("pdq_turned_90", pa.array(["0f" * 32] * 9))
        .select(["key", "image", "pdq_turned_90"])
    )
    write_columns(store, "a.parquet", table)
    group = pq.read_metadata(store.locate("a.parquet")).row_group(0)
    assert [group.column(number).compression for number in range(3)] == ["ZSTD", "UNCOMPRESSED", "UNCOMPRESSED"]


def test_rows_take_hardly_any_room_when_they_are_in_ascending_order(store):
    rows = np.arange(10**6, 2 * 10**6, 3)
    file = write_columns(store, "a.parquet", pa.table({"row": rows}))
    assert file.size_bytes < len(rows) / 10
    assert np.array_equal(read_columns(store, file, ["row"])["row"].to_numpy(), rows)


@pytest.mark.parametrize("rows", [None, np.array([1, 2]), np.array([], np.int64)])
def test_the_file_and_the_column_are_named_when_a_column_is_not_there(store, rows):
    file = write_columns(store, "a.parquet", table_of(range(10)).drop_columns("text_words"))
    with pytest.raises(CorruptionError, match=r"a\.parquet: has no column text_words"):
        read_columns(store, file, ["text_words", "image"], rows)


@pytest.mark.parametrize(
    "wanted",
    [[0], [127, 128], [999], [0, 500, 999], list(range(1000)), [], [-5, 2000], [130, 5000], list(range(3, 1000, 7))],
)
def test_the_wanted_rows_come_back_in_order_when_rows_are_selected(store, wanted):
    file = write_columns(store, "a.parquet", table_of(range(1000)))
    found = read_columns(store, file, ["image", "text_words"], np.array(wanted, np.int64))
    expected = [row for row in wanted if 0 <= row < 1000]
    assert found["row"].to_pylist() == expected
    assert found["image"].to_pylist() == images_of(expected)
    assert found["text_words"].to_pylist() == [row % 5 for row in expected]


def test_row_groups_without_a_wanted_row_are_not_read_when_rows_are_selected(store, monkeypatch):
    file = write_columns(store, "a.parquet", table_of(range(1000)))
    read = []
    of_file = pq.ParquetFile.read_row_groups
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_groups",
        lambda self, groups, names: read.extend(groups) or of_file(self, groups, names),
    )
    read_columns(store, file, ["image"], np.array([PAYLOAD_ROW_GROUP, 3 * PAYLOAD_ROW_GROUP + 5], np.int64))
    assert read == [1, 3]


def test_the_rows_need_not_be_sorted_in_the_file_when_rows_are_selected(store):
    rows = [5, 900, 3, 899, *range(10, 400)]
    file = write_columns(store, "a.parquet", table_of(rows))
    found = read_columns(store, file, ["image"], np.array([3, 5, 11, 900], np.int64))
    assert found["row"].to_pylist() == [5, 900, 3, 11]
    assert found["image"].to_pylist() == images_of([5, 900, 3, 11])


def test_an_empty_file_is_no_trouble_when_rows_are_selected(store):
    file = write_columns(store, "a.parquet", table_of([]))
    for rows in (None, np.array([1, 2], np.int64)):
        found = read_columns(store, file, ["image"], rows)
        assert found.num_rows == 0
        assert found.schema.field("image").type == pa.large_binary()


@pytest.mark.parametrize("payload", [True, False])
def test_the_bytes_are_the_same_when_the_rows_came_together_otherwise(store, payload):
    table = table_of(range(5000), payload=payload)
    text = pa.array([f"{row * 2654435761 % 2**32:08x}" * 60 for row in range(5000)])
    table = table.append_column("caption", text)
    pieces = [table.slice(0, 13), table.slice(13, 1800), table.slice(1813, 3186), table.slice(4999)]
    chunked = pa.concat_tables(pieces).replace_schema_metadata({"from": "elsewhere"})
    whole = write_columns(store, "whole.parquet", table)
    assert write_columns(store, "chunked.parquet", chunked).sha256 == whole.sha256
    assert store.read_bytes("chunked.parquet") == store.read_bytes("whole.parquet")


def test_nothing_is_left_when_writing_fails(store, tmp_path):
    odd = table_of(range(3)).append_column("odd", pa.nulls(3, pa.month_day_nano_interval()))
    with pytest.raises(pa.ArrowException):
        write_columns(store, "a.parquet", odd)
    assert list(tmp_path.iterdir()) == []


def _flip_in_the_middle(data):
    place = data.index(b"image 77 ") + 3
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-20],
        lambda data: b"",
        lambda data: b"PAR1" + b"\x00" * (len(data) - 8) + b"PAR1",
        lambda data: data[: len(data) // 2],
        _flip_in_the_middle,
    ],
    ids=["cut", "empty", "zeroed", "half", "one bit of an image"],
)
def test_the_file_is_named_when_it_is_damaged(store, damage):
    file = write_columns(store, "data/a.parquet", table_of(range(300)))
    store.write_bytes("data/a.parquet", damage(store.read_bytes("data/a.parquet")))
    with pytest.raises(CorruptionError, match=r"data/a\.parquet: "):
        read_columns(store, file, ["image"])


def test_the_file_is_named_when_it_is_gone_or_another(store):
    file = write_columns(store, "a.parquet", table_of(range(30)))
    write_columns(store, "a.parquet", table_of(range(29)))
    with pytest.raises(CorruptionError, match=r"a\.parquet: cannot be read as Parquet: its footer is not what was"):
        read_columns(store, file, ["image"])
    with pytest.raises(CorruptionError, match=r"a\.parquet: holds 29 rows, not 30"):
        read_columns(store, file.model_copy(update={"footer_crc32": None}), ["image"])
    store.delete("a.parquet")
    with pytest.raises(CorruptionError, match=r"a\.parquet: was committed but is gone"):
        read_columns(store, file, ["image"])


def test_it_is_worth_another_try_when_the_store_fails(store):
    file = write_columns(store, "a.parquet", table_of(range(30)))

    class Flaky(Store):
        is_local = False

        def read_bytes(self, path):
            raise OSError(5, "503 Slow Down")

    with pytest.raises(TransientError, match=r"a\.parquet: could not be read: .*Slow Down"):
        read_columns(Flaky(store.url), file, ["image"])
