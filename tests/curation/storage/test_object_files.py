"""An object store over a real server: whole files or none, by parts where they are large, more than a page of them."""

import os
from datetime import UTC, datetime, timedelta

import moto.s3.models
import pyarrow as pa
import pytest
from faulty_proxy import ERROR_IN_200, Fault, FaultyProxy
from s3_server import BUCKET, use_server

from curation.errors import CorruptionError, TransientError
from curation.storage import multipart, parquet_files, store_failures
from curation.storage.column_groups import read_all, read_columns, write_columns
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


@pytest.fixture
def proxied(s3_server, monkeypatch, request):
    """A proxy, and a store behind it whose client soon gives up. Everything but the smallest files goes up by parts."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(store_failures, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(multipart, "PART_BYTES", 4000)
    monkeypatch.setattr(moto.s3.models, "S3_UPLOAD_PART_MIN_SIZE", 1)
    proxy = FaultyProxy(s3_server.options)
    use_server(proxy, monkeypatch)
    yield proxy, Store(f"s3://{BUCKET}/{request.node.name}")
    proxy.close()


def completes(asked):
    return asked.method == "POST" and "uploadId" in asked.query


def write_whole(store, path, content):
    with store.open_write(path) as file:
        file.write(content)


def test_an_older_file_of_the_same_size_is_not_taken_for_it_when_an_upload_is_never_completed(proxied):
    proxy, store = proxied
    write_whole(store, "large", b"a" * 9000)
    proxy.fault = Fault(completes, answer=ERROR_IN_200)
    with pytest.raises(TransientError, match="the store did not answer as it should"):
        write_whole(store, "large", b"b" * 9000)
    proxy.fault = None
    assert store.read_bytes("large") == b"a" * 9000
    assert store.unfinished_uploads() == []


@pytest.mark.parametrize("named_by_sums", [True, False])
def test_its_own_file_is_recognised_when_the_reply_to_the_completion_is_lost(proxied, monkeypatch, named_by_sums):
    proxy, store = proxied
    if not named_by_sums:
        # As where a service's key encrypts.
        monkeypatch.setattr(multipart, "etag_of_parts", lambda etags: None)
    proxy.fault = Fault(completes, reset="after", times=1)
    write_whole(store, "large", b"b" * 9000)
    assert len(proxy.fault.struck) == 1
    assert store.read_bytes("large") == b"b" * 9000


def test_another_writer_s_file_of_the_same_bytes_will_do_when_an_upload_is_never_completed(proxied):
    proxy, store = proxied
    write_whole(store, "large", b"b" * 9000)
    proxy.fault = Fault(completes, answer=ERROR_IN_200)
    write_whole(store, "large", b"b" * 9000)
    assert store.read_bytes("large") == b"b" * 9000
    assert store.unfinished_uploads() == []


def test_the_name_of_a_file_follows_from_its_parts_when_they_are_named_by_sums():
    # MD5 of "a" and of "b"; `printf a | md5sum`, and of both sums together.
    sums = ["0cc175b9c0f1b6a831c399e269772661", '"92eb5ffee6ae2fec3ad71c777531578f"']
    assert multipart.etag_of_parts(sums) == "96e024ba2074fe77e8e965ba43a704be-2"
    assert multipart.etag_of_parts([*sums, "no sum"]) is None


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


def requests_of(store):
    """Method and range of every request from now on."""
    asked = []

    def note(request, **_):
        asked.append((request.method, (request.headers.get("Range") or b"").decode()))

    store.fs.s3.meta.events.register("before-send.s3", note)
    return asked


def test_one_request_is_made_when_a_whole_file_is_read(store):
    store.write_bytes("a", b"content")
    asked = requests_of(store)
    assert store.read_bytes("a") == b"content"
    assert asked == [("GET", "")]
    assert list(store.read_many(["a", "none"])) == [b"content", None]
    assert asked == [("GET", "")] * 3


def test_one_request_is_made_when_a_file_is_looked_for(store):
    store.write_bytes("folder/a", b"content")
    asked = requests_of(store)
    assert [store.exists(path) for path in ("folder/a", "folder/none", "folder", "none")] == [True, False, False, False]
    assert asked == [("HEAD", "")] * 4


def small_table(store):
    return write_columns(store, "a.parquet", pa.table({"row": pa.array(range(10), pa.int64()), "url": ["u"] * 10}))


def test_one_request_is_made_when_columns_of_a_small_file_are_read(store):
    record = small_table(store)
    asked = requests_of(store)
    assert read_columns(store, record, ["url"])["row"].to_pylist() == list(range(10))
    assert read_all(store, record).column_names == ["row", "url"]
    assert asked == [("GET", "")] * 2


@pytest.mark.parametrize("small_bytes", [0, 1 << 20])
@pytest.mark.parametrize("left", [None, 0, 5, -5])
def test_it_is_told_when_less_is_there_than_was_committed(store, monkeypatch, small_bytes, left):
    monkeypatch.setattr(parquet_files, "SMALL_BYTES", small_bytes)
    record = small_table(store)
    content = store.read_bytes("a.parquet")
    if left is None:
        store.delete("a.parquet")
    else:
        store.write_bytes("a.parquet", content[:left])
    with pytest.raises(CorruptionError, match="committed but is gone" if left is None else "cannot be read as Parquet"):
        read_columns(store, record, ["url"])


def test_no_more_is_sent_than_asked_for_when_a_file_is_read_in_pieces(store, monkeypatch):
    monkeypatch.setattr(parquet_files, "SMALL_BYTES", 0)
    table = pa.table({"row": pa.array(range(1000), pa.int64()), "url": [os.urandom(500).hex() for _ in range(1000)]})
    record = write_columns(store, "a.parquet", table)
    asked = requests_of(store)
    assert read_columns(store, record, [])["row"].to_pylist() == list(range(1000))
    assert {method for method, _ in asked} == {"GET"}
    ranges = [header.removeprefix("bytes=").split("-") for _, header in asked]
    assert sum(int(last) - int(first) + 1 for first, last in ranges) < 100_000 < record.size_bytes
    assert len(ranges) <= 3
