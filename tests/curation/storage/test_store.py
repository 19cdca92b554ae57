"""Files appear whole or not at all, and of several who put one, one wins."""

import multiprocessing
import os
import pickle
import time

import fsspec
import pyarrow as pa
import pytest
from s3_server import BUCKET, S3Server, use_server

from curation.errors import CorruptionError, TransientError
from curation.storage import store_failures
from curation.storage.column_groups import read_columns, write_columns
from curation.storage.store import Store


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    if request.param == "local":
        yield Store(str(tmp_path / "run"))
        return
    store = Store(f"memory://{tmp_path.name}/run")
    yield store
    fsspec.filesystem("memory").store.clear()


def everything_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_nothing_is_touched_when_a_store_is_opened(tmp_path):
    store = Store(str(tmp_path / "run")).child("deeper")
    assert store.list("x") == []
    assert not store.exists("y")
    assert everything_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_comes_back_when_it_was_written(store):
    store.write_bytes("a/b.json", b"one")
    store.write_bytes("a/b.json", b"two")
    assert store.read_bytes("a/b.json") == b"two"
    assert store.size("a/b.json") == 3
    assert store.exists("a/b.json")
    with store.open_read("a/b.json") as file:
        file.seek(1)
        assert file.read() == b"wo"


def test_a_folder_is_no_file_when_it_is_looked_for(store):
    store.write_bytes("a/b", b"1")
    assert [store.exists(path) for path in ("a/b", "a", "a/c")] == [True, False, False]


def test_a_child_is_the_folder_when_its_files_are_named(store):
    store.child("a").write_bytes("b", b"x")
    assert store.read_bytes("a/b") == b"x"
    assert store.child("a").list("") == ["b"]


def test_entries_are_sorted_and_direct_when_listed(store):
    for path in ("f/2", "f/10", "f/1", "f/sub/3", "g/4"):
        store.write_bytes(path, b"")
    assert store.list("f") == ["1", "10", "2", "sub"]
    assert store.list("missing") == []


def test_times_of_files_are_told_when_a_folder_is_listed(store):
    begin = time.time()
    store.write_bytes("a/one", b"1")
    store.write_bytes("a/b/two", b"2")
    times = store.written_at("a")
    assert set(times) == {"one"}
    assert begin - 2 <= times["one"] <= time.time() + 2
    assert store.written_at("nowhere") == {}


def test_the_time_is_that_of_files_and_nothing_is_left_when_a_store_is_asked_for_it(store):
    store.write_bytes("before", b"")
    now = store.now()
    store.write_bytes("behind", b"")
    assert store.modified("before") <= now <= store.modified("behind")
    assert store.list("") == ["before", "behind"]


def test_a_missing_file_is_told_apart_when_read(store):
    with pytest.raises(FileNotFoundError):
        store.read_bytes("missing")
    with pytest.raises(FileNotFoundError):
        store.open_read("missing").read()
    store.delete("missing")


def test_what_is_there_comes_back_when_many_are_read(store):
    store.write_bytes("a", b"1")
    store.write_bytes("f/c", b"3")
    assert list(store.read_many(["a", "b", "f/c", "a"])) == [b"1", None, b"3", b"1"]
    assert list(store.read_many([])) == []


def test_a_file_is_gone_when_deleted(store):
    store.write_bytes("a", b"1")
    store.delete("a")
    assert not store.exists("a")


ODD_NAMES = ("a[1]", "a*", "a?", "a b", "ü–名", "a%20b", "a#b", "a+b", "{x,y}", "a'b", "[!x]", "**", "a&b=c;d")
"""Patterns to a shell or to fsspec, escapes in a URL, or just not ASCII."""


@pytest.fixture(scope="module")
def server():
    server = S3Server()
    yield server
    server.close()


@pytest.mark.parametrize("kind", ["local", "memory", "s3"])
@pytest.mark.parametrize("name", ODD_NAMES)
def test_nothing_else_is_meant_when_a_root_has_signs_in_it(tmp_path, server, monkeypatch, kind, name):
    use_server(server, monkeypatch)
    base = {"local": str(tmp_path), "memory": f"memory://{tmp_path.name}", "s3": f"s3://{BUCKET}/{tmp_path.name}"}[kind]
    store = Store(f"{base}/{name}/run")
    # What the name means as a pattern.
    other = Store(f"{base}/a1/run")
    for each in (store, other):
        each.write_bytes("x/f", b"1")
    store.write_bytes("x/y/[0]*", b"2")
    assert store.put_if_absent("z", b"3")
    assert not store.put_if_absent("z", b"4")
    assert (store.list(""), store.child("x").list("")) == (["x", "z"], ["f", "y"])
    assert (store.read_bytes("x/y/[0]*"), store.size("z"), store.exists("x/f")) == (b"2", 1, True)
    assert [file.path for file in store.files_below()] == ["x/f", "x/y/[0]*", "z"]
    assert [*store.written_at("x")] == ["f"]
    record = write_columns(store, "t*.parquet", pa.table({"row": pa.array([0, 1], pa.int64())}))
    assert read_columns(store, record, ["row"])["row"].to_pylist() == [0, 1]
    assert store.unfinished_uploads() == []
    store.delete("z")
    store.delete_folder("x")
    assert [file.path for file in store.files_below()] == ["t*.parquet"]
    store.delete_folder("")
    assert list(store.files_below()) == []
    assert other.read_bytes("x/f") == b"1"


def test_the_first_one_stays_when_a_name_is_put_twice(store):
    assert store.put_if_absent("commits/0.json", b"first")
    assert not store.put_if_absent("commits/0.json", b"second")
    assert store.read_bytes("commits/0.json") == b"first"
    assert store.list("commits") == ["0.json"]


def test_an_object_store_says_that_all_won_when_racers_put_the_same(store):
    assert [store.put_if_absent("c", b"same") for _ in range(2)] == [True, not store.is_local]
    assert store.read_bytes("c") == b"same"


def test_it_is_opened_anew_when_a_store_was_pickled(store):
    store.write_bytes("a", b"1")
    again = pickle.loads(pickle.dumps(store))
    assert pickle.loads(pickle.dumps(store)).locate("a") == store.locate("a")
    assert again.url == store.url
    assert again.read_bytes("a") == b"1"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_when_writing_is_broken_off(tmp_path, error):
    store = Store(str(tmp_path))
    store.write_bytes("a/old", b"old")

    def break_off(path):
        with store.open_write(path) as file:
            file.write(b"half")
            raise error

    for path in ("a/new", "a/old"):
        with pytest.raises(error):
            break_off(path)
    assert everything_in(tmp_path) == ["a/old"]
    assert store.read_bytes("a/old") == b"old"


def test_nobody_sees_a_file_when_it_is_half_written(tmp_path):
    store = Store(str(tmp_path))
    with store.open_write("a/new") as file:
        file.write(b"half")
        assert store.list("a") == []
        assert not store.exists("a/new")
    assert store.read_bytes("a/new") == b"half"


def _put(start, folder, number, wins):
    start.wait()
    for name in range(20):
        if Store(folder).put_if_absent(f"commits/{name}", f"{number}".encode()):
            wins.put((name, number))


def test_exactly_one_wins_when_many_processes_put_the_same_name(tmp_path):
    spawning = multiprocessing.get_context("fork")
    wins, start = spawning.Queue(), spawning.Event()
    racers = [spawning.Process(target=_put, args=(start, str(tmp_path), number, wins)) for number in range(8)]
    for racer in racers:
        racer.start()
    start.set()
    won = dict([wins.get(timeout=60) for _ in range(20)])
    for racer in racers:
        racer.join()
    assert wins.empty()
    assert set(won) == set(range(20))
    assert {name: int(Store(str(tmp_path)).read_bytes(f"commits/{name}")) for name in won} == won
    assert len(everything_in(tmp_path)) == 20


def test_it_has_won_when_the_reply_to_its_own_link_was_lost(tmp_path, monkeypatch):
    store = Store(str(tmp_path))
    link = os.link

    def link_and_be_asked_again(source, target):
        link(source, target)
        raise FileExistsError(target)

    monkeypatch.setattr(os, "link", link_and_be_asked_again)
    assert store.put_if_absent("0.json", b"mine")
    assert everything_in(tmp_path) == ["0.json"]


def test_it_is_worth_another_try_when_a_store_does_not_say_who_won(tmp_path, monkeypatch):
    monkeypatch.setattr(store_failures, "FIRST_PAUSE_S", 0.02)
    store = Store(f"memory://{tmp_path.name}")

    def unavailable(*args, **kwargs):
        raise OSError(5, "503 Slow Down")

    monkeypatch.setattr(store.fs, "pipe_file", unavailable)
    with pytest.raises(TransientError, match=r"0.json: the conditional put failed: .*Slow Down"):
        store.put_if_absent("0.json", b"mine")


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "/etc/passwd", ".."])
def test_nothing_is_touched_when_a_path_leads_out_of_the_folder(tmp_path, path):
    (tmp_path / "outside").write_bytes(b"mine")
    inside = Store(str(tmp_path / "inside"))
    for act in (
        lambda: inside.read_bytes(path),
        lambda: inside.delete(path),
        lambda: inside.delete_folder(path),
        lambda: inside.write_bytes(path, b"theirs"),
        lambda: inside.put_if_absent(path, b"theirs"),
        lambda: inside.list(path),
    ):
        with pytest.raises(CorruptionError, match="leads out of"):
            act()
    assert (tmp_path / "outside").read_bytes() == b"mine"
    inside.write_bytes("a..b/..c", b"fine")
    assert inside.read_bytes("a..b/..c") == b"fine"
