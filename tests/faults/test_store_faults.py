"""A store has a bad day while a run goes on: nothing is lost, nothing comes twice, little is done again.

A real proxy stands in front of a real server. After each fault the run is brought to its end, and is held against one
that nothing disturbed, on a local disk: the same commits, the same bytes.
"""

import itertools
import threading

import fsspec
import moto.s3.models
import pytest
from faulty_proxy import ERROR_IN_200, INTERNAL_ERROR, SLOW_DOWN, Fault, FaultyProxy, parts_put
from picture_recipes import PHASES, ROWS, commits_in, record_in, results_in, write_picture_recipe
from s3_server import BUCKET, S3Server, use_server

from curation.errors import TransientError
from curation.storage import multipart, store_failures
from curation.storage.store import Store
from curation.upkeep.verify import verify_run
from jobs.cli import main
from stages.deliver.validate import verify_shards

FETCH = PHASES[1]
PART_ROWS = 8
PARTS = ROWS // PART_ROWS


@pytest.fixture(scope="module")
def server():
    server = S3Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A recipe, and the folder of its run on a local disk that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    recipe = write_picture_recipe(folder)
    assert run(recipe, folder / "run") == 0
    return recipe, folder / "run"


@pytest.fixture
def proxy(server, monkeypatch):
    """A proxy that the run's clients go through, and clients that are quick to try again and soon give up."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setattr(store_failures, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"connect_timeout": 2, "read_timeout": 2}})
    proxy = FaultyProxy(server.options)
    use_server(proxy, monkeypatch)
    yield proxy
    proxy.close()


@pytest.fixture
def out(request):
    return f"s3://{BUCKET}/{request.node.name}"


def run(recipe, out):
    parts = ["--set", f"run.part_rows={PART_ROWS}"]
    return main(["run", str(recipe), "--out", str(out), "--runner", "in-process", "--json", *parts])


def every(count, matches=lambda asked: True):
    """Every so many of the requests that match."""
    counter = itertools.count(1)
    return lambda asked: matches(asked) and next(counter) % count == 0


def commit_put(asked):
    return asked.method == "PUT" and "/commits-" in asked.key


def check_like_undisturbed(undisturbed, out, proxy):
    """The run has come to its end, and to what it comes to on a good day."""
    assert record_in(out).state == "finished"
    assert commits_in(out) == commits_in(undisturbed[1])
    assert results_in(out) == results_in(undisturbed[1])
    found = verify_run(str(out), verify_shards, threads=2)
    assert found.damages == ()
    for phase in PHASES:
        stored = parts_put(proxy, phase)
        assert set(stored) == set(range(PARTS))
        # In one process one part is in flight.
        assert len([part for part, files in stored.items() if files > 1]) <= 1
    return found


PASSING = {
    "answers slowly": Fault(every(4), pause_s=0.2),
    "answers later than anyone waits": Fault(every(6, commit_put), pause_s=2.5, times=2),
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
def test_a_run_comes_to_the_same_when_its_store(undisturbed, proxy, out, name):
    fault = Fault(**{key: getattr(PASSING[name], key) for key in ("meant_for", "answer", "pause_s", "reset", "times")})
    proxy.fault = fault
    assert run(undisturbed[0], out) == 0
    assert fault.struck
    proxy.fault = None
    found = check_like_undisturbed(undisturbed, out, proxy)
    assert (found.orphans, found.uploads) == ((), ())


@pytest.mark.parametrize("how", ["refuses", "slow down", "errors", "resets"])
def test_the_same_command_goes_on_when_the_store_was_gone_for_long(undisturbed, proxy, out, how, capsys):
    commits = itertools.count(1)
    outage = threading.Event()

    def is_gone(asked):
        if commit_put(asked) and FETCH in asked.key and next(commits) == 2:
            outage.set()
            if how == "refuses":
                threading.Thread(target=proxy.refuse).start()
        return outage.is_set()

    answers = {"slow down": {"answer": SLOW_DOWN}, "errors": {"answer": INTERNAL_ERROR}}
    proxy.fault = Fault(is_gone, **answers.get(how, {"reset": "before"}))
    assert run(undisturbed[0], out) == 1
    assert "the store did not answer as it should" in capsys.readouterr().err
    proxy.fault = None
    if how == "refuses":
        proxy.accept()
    done = {path for path in commits_in(out) if FETCH in path}
    assert len(done) == 1
    assert run(undisturbed[0], out) == 0
    check_like_undisturbed(undisturbed, out, proxy)


def test_nothing_committed_is_done_again_when_listings_are_stale(undisturbed, proxy, out):
    proxy.fault = Fault(lambda asked: asked.lists, keeps=True)
    assert run(undisturbed[0], out) == 0
    # Every listing is what it was before the first run: empty.
    assert run(undisturbed[0], out) == 0
    assert sum(parts_put(proxy, FETCH).values()) == PARTS
    assert proxy.fault.struck
    proxy.fault = None
    found = check_like_undisturbed(undisturbed, out, proxy)
    assert found.orphans == ()


@pytest.fixture
def by_parts(monkeypatch):
    """Everything but the smallest files goes up by parts."""
    monkeypatch.setattr(multipart, "PART_BYTES", 4000)
    monkeypatch.setattr(moto.s3.models, "S3_UPLOAD_PART_MIN_SIZE", 1)


def completes(asked):
    return asked.method == "POST" and "uploadId" in asked.query


@pytest.mark.parametrize("how", [{"answer": ERROR_IN_200}, {"reset": "after"}, {"answer": SLOW_DOWN}])
def test_uploads_by_parts_are_completed_when_the_answer_is_an_error_or_lost(undisturbed, proxy, out, by_parts, how):
    proxy.fault = Fault(every(2, completes), times=8, **how)
    assert run(undisturbed[0], out) == 0
    assert len(proxy.fault.struck) == 8
    proxy.fault = None
    found = check_like_undisturbed(undisturbed, out, proxy)
    assert (found.orphans, found.uploads) == ((), ())


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


def test_it_is_swept_up_when_even_the_abort_of_an_upload_failed(undisturbed, proxy, out, by_parts, capsys):
    assert run(undisturbed[0], out) == 0
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
    assert results_in(out) == results_in(undisturbed[1])
