"""Only what belongs to nobody goes, and only when it is old."""

import os
import time
from datetime import datetime, timedelta

import pytest
from picture_recipes import measured_in, record_in, results_in
from s3_server import BUCKET, S3Server, use_server

from curation.errors import RecipeError
from curation.runtime import partitions
from curation.storage import store
from curation.storage.store import Store
from curation.upkeep import sweep as sweep_module
from curation.upkeep.copies import copy_run
from curation.upkeep.sweep import sweep

DAY_S = 86_400
LEFT = {
    "pool/text_rules-x/data/00000000-dead.parquet",
    "decisions/deduplicate-x/verdicts-dead.parquet",
    "shards/abc/000009.tar",
    "shards/abc/sizes.json",
    "ledger/abc/part-00000000.parquet",
    "ledger/.writing-1-x",
    "workspace/partitions-1/00000.parquet",
    "probe-" + "0" * 32,
}


def files_in(run):
    return {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}


def leave(run, names, age_s):
    for name in names:
        (run / name).parent.mkdir(exist_ok=True, parents=True)
        (run / name).write_bytes(b"left")
        os.utime(run / name, (time.time() - age_s,) * 2)


def grow_old(run):
    for path in run.rglob("*"):
        os.utime(path, (time.time() - 10 * DAY_S,) * 2)


def test_what_dead_writers_left_goes_when_it_is_old(run, again):
    before = files_in(run)
    results = results_in(run)
    (run / "mine").mkdir()
    (run / "mine/model.bin").write_bytes(b"a user's own")
    grow_old(run)
    leave(run, LEFT, 2 * DAY_S)
    dry = sweep(str(run), dry_run=True)
    assert files_in(run) == before | LEFT | {"mine/model.bin"}
    done = sweep(str(run))
    assert {path for path, _ in done.files} == LEFT == {path for path, _ in dry.files}
    assert files_in(run) == before | {"mine/model.bin"}
    assert again(run) == 0
    assert measured_in(run) == {}
    assert results_in(run) == results


def test_it_stays_when_somebody_may_be_writing_it(run):
    leave(run, LEFT, DAY_S - 60)
    leave(run, ["workspace/partitions-1/00001.parquet"], 5 * DAY_S)
    done = sweep(str(run))
    assert done.files == ()
    assert set(done.young) == LEFT | {"workspace/partitions-1/00001.parquet"}
    assert {path for path, _ in sweep(str(run), timedelta(hours=23)).files} == set(done.young)


class Ahead(datetime):
    """A clock that is ten days ahead."""

    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + timedelta(days=10)


@pytest.fixture
def clock_ahead(monkeypatch):
    for module in (sweep_module, store, partitions):
        monkeypatch.setattr(module, "datetime", Ahead, raising=False)


@pytest.mark.usefixtures("clock_ahead")
def test_young_files_stay_when_the_clock_of_this_machine_is_ahead(run):
    leave(run, LEFT, DAY_S - 600)
    leave(run, ["pool/text_rules-x/data/00000001-dead.parquet"], DAY_S + 600)
    done = sweep(str(run))
    assert {path for path, _ in done.files} == {"pool/text_rules-x/data/00000001-dead.parquet"}
    assert set(done.young) == LEFT


@pytest.fixture
def there(run, monkeypatch, tmp_path):
    """A copy of the run in an object store."""
    server = S3Server()
    try:
        use_server(server, monkeypatch)
        # The servers of one process share what they hold.
        store = Store(f"s3://{BUCKET}/{tmp_path.name}")
        copy_run(str(run), store.url)
        yield store
    finally:
        server.close()


@pytest.mark.usefixtures("clock_ahead")
def test_young_files_stay_in_an_object_store_when_the_clock_of_this_machine_is_ahead(there):
    for name in LEFT:
        there.write_bytes(name, b"left")
    done = sweep(there.url)
    assert (done.files, set(done.young)) == ((), LEFT)


def test_what_dead_writers_left_goes_from_an_object_store_when_it_is_old(there):
    before = {file.path for file in there.files_below()}
    for name in LEFT:
        there.write_bytes(name, b"left")
    done = sweep(there.url, now=there.now() + timedelta(days=2))
    assert {path for path, _ in done.files} == LEFT
    assert (done.young, done.held) == ((), ())
    assert {file.path for file in there.files_below()} == before


def test_what_the_run_may_use_stays_when_one_is_going_on(run):
    (run / "run.json").write_bytes(record_in(run).model_copy(update={"state": "running"}).to_bytes())
    leave(run, LEFT, 2 * DAY_S)
    done = sweep(str(run))
    assert set(done.held) == {name for name in LEFT if name.startswith(("workspace/", "shards/", "ledger/"))}
    assert {path for path, _ in done.files} == LEFT - set(done.held)
    assert {path for path, _ in sweep(str(run), idle=True).files} == set(done.held)


def test_what_it_named_stays_when_a_commit_cannot_be_read(run):
    os.truncate(next(run.glob("pool/fetch*/commits-*/*")), 10)
    os.truncate(next(run.glob("shards/commits-*/*")), 10)
    grow_old(run)
    assert sweep(str(run)).files == ()


def test_it_is_refused_when_there_is_no_run(tmp_path):
    (tmp_path / "pool").mkdir()
    with pytest.raises(RecipeError, match="no run here"):
        sweep(str(tmp_path))
