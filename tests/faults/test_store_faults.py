"""A store has a bad day while a run goes on: nothing is lost, nothing comes twice, little is done again.

A real proxy stands in front of a real server. After each fault the run is brought to its end, and is held against one
that nothing disturbed, on a local disk: the same commits, the same bytes.
"""

import itertools
import signal
import threading

import fsspec
import moto.s3.models
import pytest
from botocore.retries.standard import ExponentialBackoff
from deadly_steps import Plot
from fault_runs import assert_same_end, ended
from faulty_proxy import ACCESS_DENIED, ERROR_IN_200, INTERNAL_ERROR, SLOW_DOWN, Fault, FaultyProxy, parts_put
from picture_recipes import PHASES, commits_in, downloaded, record_in, results_in, run_pictures
from s3_server import BUCKET, use_server

from curation.errors import TransientError
from curation.storage import multipart, store_failures
from curation.storage.store import Store
from curation.upkeep.verify import verify_run
from jobs.cli import main
from stages.deliver.validate import verify_shards

FETCH = PHASES[1]
PARTS = 3


@pytest.fixture
def proxy(s3_server, monkeypatch):
    """A proxy that the run's clients go through, and clients that are quick to try again and soon give up."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setattr(store_failures, "FIRST_PAUSE_S", 0.02)
    # As often as ever, but after hundredths of a second: AWS's client has no setting for it.
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.01)
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"connect_timeout": 1, "read_timeout": 1}})
    proxy = FaultyProxy(s3_server.options)
    use_server(proxy, monkeypatch)
    yield proxy
    proxy.close()


@pytest.fixture
def out(request):
    return f"s3://{BUCKET}/{request.node.name}"


def every(count, matches=lambda asked: True):
    """Every so many of the requests that match."""
    counter = itertools.count(1)
    return lambda asked: matches(asked) and next(counter) % count == 0


def commit_put(asked):
    return asked.method == "PUT" and "/commits-" in asked.key


class RunOnStore:
    """A recipe that is run into a folder of the store, and what it came to when nothing disturbed it."""

    def __init__(self, undisturbed, proxy, out, copy):
        self._recipe, self._whole = undisturbed
        self._proxy, self._out, self._copy = proxy, out, copy

    def run(self):
        return run_pictures(self._recipe, self._out)

    def found(self):
        """Checks that the run has come to its end, and to what it comes to on a good day; what is found beside it."""
        self._proxy.fault = None
        copy = downloaded(self._out, self._copy)
        assert record_in(copy).state == "finished"
        assert commits_in(copy) == commits_in(self._whole)
        assert results_in(copy) == results_in(self._whole)
        found = verify_run(str(copy), verify_shards, threads=2)
        assert found.damages == ()
        for phase in PHASES:
            stored = parts_put(self._proxy, phase)
            assert set(stored) == set(range(PARTS))
            # In one process one part is in flight.
            assert len([part for part, files in stored.items() if files > 1]) <= 1
        return found.orphans, Store(self._out).unfinished_uploads()


@pytest.fixture
def on_store(undisturbed_pictures, proxy, out, tmp_path):
    return RunOnStore(undisturbed_pictures, proxy, out, tmp_path / "copy")


PASSING = {
    "answers slowly": Fault(every(4), pause_s=0.2, times=20),
    "answers later than anyone waits": Fault(every(6, commit_put), pause_s=1.3, times=2),
    "slow down": Fault(every(2), answer=SLOW_DOWN, times=60),
    "internal errors": Fault(every(3), answer=INTERNAL_ERROR, times=40),
    "resets before it is asked": Fault(every(3), reset="before", times=40),
    "resets in the middle of an answer": Fault(every(2, lambda asked: asked.method == "GET"), reset="middle", times=30),
    "loses the reply to every second thing it is given": Fault(
        every(2, lambda asked: asked.method == "PUT"), reset="after", times=30
    ),
    "loses the reply to every commit": Fault(every(2, commit_put), reset="after"),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_run_comes_to_the_same_when_its_store(on_store, proxy, name):
    fault = Fault(**{key: getattr(PASSING[name], key) for key in ("meant_for", "answer", "pause_s", "reset", "times")})
    proxy.fault = fault
    assert on_store.run() == 0
    assert fault.struck
    assert on_store.found() == ((), [])


GONE = {
    "refuses connections": ({}, "the store did not answer as it should"),
    "slows down": ({"answer": SLOW_DOWN}, "the store did not answer as it should"),
    "has errors": ({"answer": INTERNAL_ERROR}, "the store did not answer as it should"),
    "resets connections": ({"reset": "before"}, "the store did not answer as it should"),
    "denies access": ({"answer": ACCESS_DENIED}, "the store refuses: "),
}


@pytest.mark.parametrize("how", GONE)
def test_the_same_command_goes_on_when_for_long_the_store(on_store, proxy, out, how, capsys):
    commits = itertools.count(1)
    outage = threading.Event()

    def is_gone(asked):
        if commit_put(asked) and FETCH in asked.key and next(commits) == 2:
            outage.set()
            if how == "refuses connections":
                threading.Thread(target=proxy.refuse).start()
        return outage.is_set()

    faults, said = GONE[how]
    proxy.fault = Fault(is_gone, **(faults or {"reset": "before"}))
    assert on_store.run() == 1
    assert said in capsys.readouterr().err
    proxy.fault = None
    if how == "refuses connections":
        proxy.accept()
    done = {path for path in commits_in(out) if FETCH in path}
    assert len(done) == 1
    assert on_store.run() == 0
    on_store.found()


def test_its_part_alone_is_done_again_when_a_writer_is_killed_between_upload_and_commit(
    toys, undisturbed_toys, proxy, out, tmp_path
):
    killed = Plot(tmp_path / "killed", commits=("pool/draw-develop_on_gpu-*/00000003.json",))
    assert ended(toys.start(out, plot=killed))[0] == -signal.SIGKILL
    rest = Plot(tmp_path / "rest")
    assert toys.run(out, plot=rest) == 0
    copy = downloaded(out, tmp_path / "copy")
    assert_same_end(copy, undisturbed_toys)
    rows = {row for row in killed.work("draw") if row in rest.work("draw")}
    assert {row // 16 for row in rows} == {3}
    assert not rest.work("measure_text")
    # What was uploaded for nothing is known to belong to nobody.
    (orphan,) = [path for path in verify_run(str(copy), verify_shards).orphans if path.startswith("pool/")]
    assert "/data/00000003-" in orphan


def test_nothing_committed_is_done_again_when_listings_are_stale(on_store, proxy):
    proxy.fault = Fault(lambda asked: asked.lists, keeps=True)
    assert on_store.run() == 0
    # Every listing is what it was before the first run: empty.
    assert on_store.run() == 0
    assert sum(parts_put(proxy, FETCH).values()) == PARTS
    assert proxy.fault.struck
    assert on_store.found() == ((), [])


@pytest.fixture
def by_parts(monkeypatch):
    """Everything but the smallest files goes up by parts."""
    monkeypatch.setattr(multipart, "PART_BYTES", 4000)
    monkeypatch.setattr(moto.s3.models, "S3_UPLOAD_PART_MIN_SIZE", 1)


def completes(asked):
    return asked.method == "POST" and "uploadId" in asked.query


@pytest.mark.parametrize("how", [{"answer": ERROR_IN_200}, {"reset": "after"}, {"answer": SLOW_DOWN}])
def test_uploads_by_parts_are_completed_when_the_answer_is_an_error_or_lost(on_store, proxy, by_parts, how):
    proxy.fault = Fault(every(2, completes), times=8, **how)
    assert on_store.run() == 0
    assert len(proxy.fault.struck) == 8
    assert on_store.found() == ((), [])


def test_no_file_appears_and_nothing_is_left_when_an_upload_is_never_completed(proxy, out, by_parts):
    store = Store(out)
    proxy.fault = Fault(completes, answer=ERROR_IN_200)

    def write():
        with store.open_write("a/large") as file:
            file.write(bytes(9000))

    with pytest.raises(TransientError, match="a/large: the store did not answer as it should"):
        write()
    assert not store.exists("a/large")
    assert store.unfinished_uploads() == []


def test_it_is_swept_up_when_even_the_abort_of_an_upload_failed(on_store, undisturbed_pictures, proxy, out, by_parts):
    assert on_store.run() == 0
    store = Store(out)
    proxy.fault = Fault(lambda asked: "uploadId" in asked.query and asked.method != "PUT", answer=INTERNAL_ERROR)

    def write():
        with store.open_write("shards/x/000000.tar") as file:
            file.write(bytes(9000))

    with pytest.raises(TransientError):
        write()
    proxy.fault = None
    assert [upload.path for upload in store.unfinished_uploads()] == ["shards/x/000000.tar"]
    # This server says of every upload that it was begun in 2010.
    assert main(["gc", out]) == 0
    assert store.unfinished_uploads() == []
    assert results_in(out) == results_in(undisturbed_pictures[1])
