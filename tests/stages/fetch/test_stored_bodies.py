import os
import threading
from pathlib import Path
from typing import ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem
from img2dataset_folders import body_of, write_shard

from curation.net.fetched import Fetched
from curation.references.stored import StoredBytes
from stages.fetch.stored_bodies import StoredBodies, StoredReading
from stages.sources.tar_members import read_members, write_members


class WatchedFiles(LocalFileSystem):
    """The local file system; counts what is asked of it, and fails or hangs when it is told to."""

    protocol = ("watched",)
    cachable = False
    ranges: ClassVar[list[tuple[int, int]]] = []
    fail_next = 0
    hang = threading.Event()

    def cat_file(self, path, start=None, end=None, **more):
        WatchedFiles.ranges.append((start, end))
        if WatchedFiles.fail_next:
            WatchedFiles.fail_next -= 1
            raise OSError(5, "Input/output error")
        if path.endswith("hanging"):
            WatchedFiles.hang.wait(10)
        return super().cat_file(path, start, end, **more)

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("watched://"))


fsspec.register_implementation("watched", WatchedFiles, clobber=True)


@pytest.fixture(autouse=True)
def watch():
    WatchedFiles.ranges, WatchedFiles.fail_next, WatchedFiles.hang = [], 0, threading.Event()
    yield WatchedFiles
    WatchedFiles.hang.set()


@pytest.fixture
def shard(tmp_path: Path) -> list[tuple[int, StoredBytes]]:
    """Where the images of 200 numbers are."""
    write_shard(tmp_path, 0, list(range(200)), "webdataset")
    with open(tmp_path / "00000.tar", "rb") as tar, open(tmp_path / "members", "w+b") as target:
        write_members(tar, target)
        members = read_members(target)
    url = f"watched://{tmp_path}/00000.tar"
    return [(int(key[5:]), StoredBytes(url, offset=place[0], size=place[1])) for key, place in members.items()]


def read(wanted: list[tuple[int, StoredBytes]], threads: int = 2, **settings: object) -> dict[int, Fetched]:
    given = {"max_body_bytes": 10_000, "tries": 3, "backoff_s": 0.01, "timeout_s": 5.0, "storage_options": {}}
    bodies = StoredBodies(StoredReading(**{**given, **settings}), threads)
    try:
        arrivals = [arrival for chunk in bodies.read(wanted) for arrival in chunk]
    finally:
        bodies.close()
    assert len({place for place, _ in arrivals}) == len(arrivals)
    return dict(arrivals)


def test_neighbours_are_read_together_and_each_is_what_it_was(shard, watch):
    shuffled = sorted(shard, key=lambda item: item[0] * 7919 % 200)
    found = read(shuffled)
    assert {place: item.body for place, item in found.items()} == {place: body_of(place) for place, _ in shard}
    assert len(watch.ranges) == 3
    assert sorted(watch.ranges) == watch.ranges


def test_what_lies_far_apart_is_not_read_along(tmp_path: Path, watch):
    ends = [
        (0, StoredBytes(f"watched://{tmp_path}/a", 512, 3)),
        (1, StoredBytes(f"watched://{tmp_path}/a", 900_000, 3)),
    ]
    (tmp_path / "a").write_bytes(bytes(1_000_000))
    read(ends)
    assert watch.ranges == [(0, 515), (899_488, 900_003)]


def test_rows_are_read_again_when_the_store_fails_once(shard, watch):
    watch.fail_next = 2
    assert all(item.body for item in read(shard, threads=1).values())
    watch.fail_next = 3
    reasons = [item.reason for item in read(shard[:5], threads=1).values()]
    assert reasons == ["reference_failed"] * 5


def test_the_block_fails_when_its_tar_is_gone_and_the_others_do_not(shard, tmp_path: Path):
    gone = [(1000 + place, StoredBytes(f"watched://{tmp_path}/gone.tar", 512, 100)) for place in range(3)]
    found = read([*shard[:2], *gone, *shard[2:]])
    assert [found[1000 + place].reason for place in range(3)] == ["reference_not_found"] * 3
    assert sum(item.body is not None for item in found.values()) == len(shard)


def test_an_image_is_cut_short_when_its_tar_is(shard, tmp_path: Path):
    last = max(shard, key=lambda item: item[1].offset)
    os.truncate(tmp_path / "00000.tar", last[1].offset + 10)
    found = read(shard)
    assert found[last[0]].reason == "truncated_body"
    assert found[last[0]].detail == f"10 of {last[1].size} bytes"
    assert sum(item.body is not None for item in found.values()) == len(shard) - 1


def test_another_image_is_never_taken_for_it_when_the_tar_was_written_anew(shard, tmp_path: Path):
    (tmp_path / "00000.tar").unlink()
    write_shard(tmp_path, 0, list(range(3, 203)), "webdataset")
    found = read(shard)
    for place, item in found.items():
        assert item.body in (None, body_of(place)) or item.reason == "reference_failed"
    assert {item.reason for item in found.values()} == {"reference_failed"}


def test_no_more_is_read_than_the_cap(shard, tmp_path: Path, watch):
    found = read(shard, max_body_bytes=1000)
    for place, item in found.items():
        size = len(body_of(place))
        assert (item.reason == "body_too_large") == (size > 1000)
    (tmp_path / "long.jpg").write_bytes(bytes(5000))
    (tmp_path / "empty.jpg").touch()
    names = ("long.jpg", "empty.jpg")
    found = read(
        [(place, StoredBytes(f"watched://{tmp_path}/{name}")) for place, name in enumerate(names)], max_body_bytes=1000
    )
    assert [found[place].reason for place in (0, 1)] == ["body_too_large", "empty_body"]


def test_values_of_a_table_are_read_by_row_and_a_null_is_none(tmp_path: Path):
    values = [None if number % 10 == 3 else body_of(number) for number in range(250)]
    table = pa.table({"url": ["u"] * 250, "jpg": pa.array(values, pa.binary())})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=100)
    rows = [0, 249, 3, 100, 99, 101, *range(150, 240)]
    url = f"watched://{tmp_path}/a.parquet"
    found = read([(row, StoredBytes(url, row=row, column="jpg")) for row in rows])
    assert {row: item.body for row, item in found.items()} == {row: values[row] for row in rows}
    assert found[3].reason == "reference_not_found"


def test_rows_fail_and_the_others_go_on_when_the_store_is_silent(shard, tmp_path: Path):
    (tmp_path / "hanging").write_bytes(bytes(2000))
    hanging = [(1000, StoredBytes(f"watched://{tmp_path}/hanging", 512, 100))]
    found = read([*hanging, *shard], timeout_s=1.0)
    assert found[1000].reason == "read_timeout"
    assert sum(item.body is not None for item in found.values()) == len(shard)
