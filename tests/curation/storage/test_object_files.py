"""An object store over a real server: whole files or none, by parts where they are large, more than a page of them."""

import os
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from s3_server import BUCKET, use_server

from curation.storage import multipart
from curation.storage.column_groups import read_columns, write_columns
from curation.storage.store import Store


@pytest.fixture
def store(s3_server, monkeypatch, request):
    use_server(s3_server, monkeypatch)
    return Store(f"s3://{BUCKET}/{request.node.name}")


def names_below(store):
    return [file.path for file in store.files_below()]


def test_a_file_comes_back_when_it_was_written(store):
    store.write_bytes("a/b", b"one")
    with store.open_write("a/c") as file:
        file.write(b"tw")
        file.write(b"o")
        assert file.tell() == 3
    with store.open_write("a/empty"):
        pass
    assert list(store.read_many(["a/b", "a/c", "a/empty", "a/none"])) == [b"one", b"two", b"", None]
    assert names_below(store) == ["a/b", "a/c", "a/empty"]
    assert [file.size_bytes for file in store.files_below("a")] == [3, 3, 0]
    assert datetime.now(UTC) - store.files_below("a")[0].modified < timedelta(minutes=5)
    store.delete("a/b")
    store.delete_folder("a")
    assert names_below(store) == []


def test_it_goes_up_by_parts_when_a_file_is_large(store, monkeypatch):
    monkeypatch.setattr(multipart, "PART_BYTES", 5 << 20)
    content = os.urandom(12 << 20)
    with store.open_write("large") as file:
        for start in range(0, len(content), 1 << 20):
            file.write(content[start : start + (1 << 20)])
        (unfinished,) = store.unfinished_uploads()
        assert unfinished.path == "large"
        assert not store.exists("large")
    assert store.unfinished_uploads() == []
    with store.open_read("large") as file:
        assert file.read(3) == content[:3]
        assert file.read() == content[3:]
    info = store.fs.info(store.locate("large"))
    assert info["ETag"].strip('"').endswith("-3")


def test_nothing_of_it_is_left_when_writing_is_broken_off(store, monkeypatch):
    monkeypatch.setattr(multipart, "PART_BYTES", 5 << 20)

    def break_off():
        with store.open_write("large") as file:
            file.write(bytes(6 << 20))
            assert len(store.unfinished_uploads()) == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert store.unfinished_uploads() == []
    assert names_below(store) == []


def test_all_of_them_are_listed_when_there_is_more_than_a_page(store, s3_server, monkeypatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "4")
    for number in range(10):
        s3_server.put(f"{store.locate('')}many/{number:04d}".partition("/")[2], b"")
    expected = [f"{number:04d}" for number in range(10)]
    assert store.list("many") == expected
    assert [file.path for file in store.files_below("many")] == expected


def test_the_first_one_stays_when_a_name_is_put_twice(store):
    assert store.put_if_absent("c/0.json", b"first")
    assert not store.put_if_absent("c/0.json", b"second")
    assert store.put_if_absent("c/0.json", b"first"), "its own bytes: the reply to its first try was lost"
    assert store.read_bytes("c/0.json") == b"first"


def test_no_more_is_sent_than_asked_for_when_a_file_is_read_in_pieces(store, s3_server):
    table = pa.table({"row": pa.array(range(1000), pa.int64()), "url": [os.urandom(500).hex() for _ in range(1000)]})
    record = write_columns(store, "a.parquet", table)
    asked = []
    store.fs.s3.meta.events.register("before-send.s3", lambda request, **_: asked.append(request.headers.get("Range")))
    assert read_columns(store, record, [])["row"].to_pylist() == list(range(1000))
    ranges = [header.decode().removeprefix("bytes=").split("-") for header in asked if header]
    assert sum(int(last) - int(first) + 1 for first, last in ranges) < 100_000 < record.size_bytes
    assert len(ranges) <= 3
