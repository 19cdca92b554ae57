"""What commits and data files stand on, held against a real object store."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from ceph import BUCKET

from curation.storage import multipart
from curation.storage.probe import check_store
from curation.storage.store import Store

RACERS, NAMES = 6, 20


def _put(start, folder, number, wins):
    store = Store(folder)
    assert start.wait(60)
    for name in range(NAMES):
        if store.put_if_absent(f"commits/{name:08d}.json", f"{number}".encode()):
            wins.put((name, number))
    wins.put(None)


def test_exactly_one_wins_when_many_processes_put_the_same_name(folder):
    spawning = multiprocessing.get_context("spawn")
    wins, start = spawning.Queue(), spawning.Event()
    racers = [spawning.Process(target=_put, args=(start, folder, number, wins)) for number in range(RACERS)]
    for racer in racers:
        racer.start()
    start.set()
    told, ended = [], 0
    while ended < RACERS:
        won = wins.get(timeout=100)
        ended += won is None
        told += [won] if won is not None else []
    for racer in racers:
        racer.join()
    assert sorted(name for name, _ in told) == list(range(NAMES))
    contents = Store(folder).read_many([f"commits/{name:08d}.json" for name, _ in told])
    assert [int(content) for content in contents] == [number for _, number in told]


def test_the_store_is_taken_when_it_is_asked_about_conditions(folder):
    check_store(Store(folder))
    assert list(Store(folder).files_below()) == []


def test_all_of_them_are_listed_read_and_deleted_when_there_are_more_than_a_page(ceph, folder):
    names = [f"{number:08d}.json" for number in range(1100)]
    prefix = folder.removeprefix(f"s3://{BUCKET}/")
    with ThreadPoolExecutor(16) as threads:
        list(
            threads.map(lambda name: ceph.client.put_object(Bucket=BUCKET, Key=f"{prefix}/c/{name}", Body=b"x"), names)
        )
    store = Store(folder)
    assert store.list("c") == names
    assert [file.path for file in store.files_below("c")] == names
    assert list(store.read_many([f"c/{name}" for name in names])) == [b"x"] * len(names)
    store.delete_folder("c")
    assert store.list("c") == []


def test_a_large_file_goes_up_by_parts_and_its_abort_leaves_nothing(folder, monkeypatch):
    monkeypatch.setattr(multipart, "PART_BYTES", 5 << 20)
    store, content = Store(folder), os.urandom(12 << 20)

    def write(path, fail):
        with store.open_write(path) as file:
            file.write(content)
            assert [upload.path for upload in store.unfinished_uploads()] == [path]
            assert not store.exists(path)
            if fail:
                raise ValueError("broken off")

    write("a/large", fail=False)
    with store.open_read("a/large") as file:
        assert file.read() == content
    with pytest.raises(ValueError, match="broken off"):
        write("a/other", fail=True)
    assert list(store.unfinished_uploads()) == []
    assert [file.path for file in store.files_below()] == ["a/large"]


def test_an_upload_of_a_dead_writer_is_found_and_aborted(ceph, folder):
    prefix = folder.removeprefix(f"s3://{BUCKET}/")
    begun = [
        ceph.client.create_multipart_upload(Bucket=BUCKET, Key=f"{prefix}{more}/000000.tar") for more in ("", "-other")
    ]
    store = Store(folder)
    (unfinished,) = store.unfinished_uploads()
    assert unfinished.path == "000000.tar"
    assert unfinished.upload == begun[0]["UploadId"]
    assert abs(unfinished.begun - store_time(store)) < timedelta(minutes=5)
    store.abort_upload(unfinished)
    assert list(store.unfinished_uploads()) == []
    assert len(Store(f"{folder}-other").unfinished_uploads()) == 1


def store_time(store):
    store.write_bytes("now", b"")
    return store.modified("now")
