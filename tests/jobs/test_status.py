"""`curation status` over runs that were really made, that go on, and that were killed."""

import json
import os
import signal
import subprocess
import sys
import time

from json_documents import document
from toy_runs import execute
from word_recipes import write_recipe

from curation.ledger.run_status import QUIET_S, StatusReader
from curation.storage.store import Store
from jobs.cli import main


def test_status_counts_what_is_committed_when_asked(finished_words, capsys):
    status = document(capsys, "status", finished_words)
    assert (status["recipe"], status["state"], status["rows"], status["parts"]) == ("words", "finished", 20, 4)
    assert (status["driver"], status["waiting"], status["estimated"]) == ("ended", [], False)
    assert [(item["name"], item["units"], item["done"]) for item in status["items"]] == [
        ("text_rules", 4, 4),
        ("select", 1, 1),
        ("ledger", 4, 4),
    ]
    assert [(item["rows_in"], item["passed_on"]) for item in status["items"]] == [(20, 16), (16, 12), (20, 20)]
    assert status["rejected"] == {"text_rules.missing": 4, "select.min_text_words": 4}
    assert main(["status", finished_words]) == 0
    shown = capsys.readouterr().out
    assert "recipe words: finished, 20 rows in 4 parts" in shown
    assert "rejected so far: 8 (" in shown


def test_rows_by_outcome_are_those_of_the_ledger_when_parts_failed(tmp_path):
    result = execute(
        tmp_path / "out", "measure_text.decides=false", "measure_text.raise_row=20", "source.rows=64", log=tmp_path
    )
    status = StatusReader(str(tmp_path / "out")).read()
    # Of the parts 0, 2 and 3: rows 0, 7, 14, 35, 42, 49, 56 and 63 have no words; of the other 40, multiples of 5 fail.
    assert status.rejected["measure_text.min_words"] == 8
    assert status.failed == {"http_not_found": 8}
    phase = next(item for item in status.items if item.kind == "phase" and item.set_aside)
    assert (phase.set_aside, phase.done, phase.units) == ((1,), 3, 4)
    assert result.quarantined == ((phase.name, 1),)


def test_a_part_that_is_set_aside_is_told_when_its_phase_goes_on(tmp_path, monkeypatch):
    seen = []

    class Looking:
        def unit_done(self, report):
            if report.unit == 1 and report.error:
                seen.append(StatusReader(str(tmp_path / "out")).read())

        item_started = item_ended = lambda self, *_: None

    monkeypatch.setattr("curation.engine.run_journal.SAVE_EVERY_S", 0.0)
    execute(tmp_path / "out", "measure_text.raise_row=20", "source.rows=64", log=tmp_path, listener=Looking())
    (status,) = seen
    assert status.items[0].set_aside == (1,)
    assert (status.items[0].done, status.driver) == (1, "working")
    assert status.record.waiting == ("draw-develop", "threshold", "write_lines", "write_lines", "ledger")


def test_it_tells_how_far_a_run_came_and_that_it_is_silent_when_its_driver_was_killed(tmp_path):
    recipe = str(write_recipe(tmp_path, rows=500))
    out = tmp_path / "out"
    arguments = [recipe, "--out", str(out), "--runner", "in-process", "--set", "run.part_rows=2"]
    with subprocess.Popen(
        [sys.executable, "-m", "jobs.curate", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 120
        while len(list(out.glob("pool/text_rules-*/commits-*/0*.json"))) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        meanwhile = StatusReader(str(out)).read()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    reader = StatusReader(str(out))
    status = reader.read()
    committed = list(out.glob("pool/text_rules-*/commits-*/0*.json"))
    assert (meanwhile.record.state, meanwhile.driver) == ("running", "working")
    assert 5 <= meanwhile.items[0].done <= status.items[0].done == len(committed)
    # Every fifth row has no caption.
    lost = sum(row % 5 == 0 for path in committed for row in _rows_of(path))
    assert status.rejected == {"text_rules.missing": lost}
    assert status.record.waiting == ("select", "ledger")
    assert reader.read(now=time.time() + 2 * QUIET_S + 10 * 60).driver == "silent"


def _rows_of(commit):
    part = int(commit.stem)
    return range(2 * part, 2 * part + 2)


def test_commits_of_old_are_counted_without_their_rows_when_they_tell_none(tmp_path, capsys):
    recipe = str(write_recipe(tmp_path))
    out = str(tmp_path / "out")
    main(["run", recipe, "--out", out, "--runner", "in-process"])
    store = Store(out)
    record = json.loads(store.read_bytes("run.json"))
    record |= {"state": "running", "items": record["items"][:1], "ledger": None}
    store.write_bytes("run.json", json.dumps(record).encode())
    commits = record["items"][0]["commits"]
    store.delete(f"{commits}/00000002.json")
    old = json.loads(store.read_bytes(f"{commits}/00000001.json"))
    for name in ("rejected", "failed", "seconds"):
        del old[name]
    store.write_bytes(f"{commits}/00000001.json", json.dumps(old).encode())
    status = document(capsys, "status", out)
    assert (status["state"], status["items"][0]["done"], status["items"][0]["units"]) == ("running", 3, 4)
    assert (status["items"][0]["rows_in"], status["items"][0]["rejected"]) == (15, None)
    assert main(["funnel", out]) == 2
    assert "the run is not complete" in capsys.readouterr().err


def test_a_sample_is_extrapolated_when_there_are_more_commits(finished_words, monkeypatch):
    monkeypatch.setattr("curation.ledger.run_status.SAMPLED_COMMITS", 2)
    status = StatusReader(finished_words).read()
    assert status.estimated
    assert [(item.done, item.rows.rows_in) for item in status.items] == [(4, 20), (1, 16), (4, 20)]
    exact = StatusReader(finished_words).read(exact=True)
    assert not exact.estimated
    assert exact.rejected == {"text_rules.missing": 4, "select.min_text_words": 4}


def test_the_rate_is_that_of_the_last_minutes_when_commits_have_times(tmp_path):
    recipe = str(write_recipe(tmp_path))
    out = tmp_path / "out"
    main(["run", recipe, "--out", str(out), "--runner", "in-process"])
    store = Store(str(out))
    record = json.loads(store.read_bytes("run.json"))
    store.write_bytes("run.json", json.dumps(record | {"state": "running", "items": record["items"][:1]}).encode())
    folder = out / record["items"][0]["commits"]
    os.utime(out / "run.json", (1000, 1000))
    # One an hour before the others, which came 20 s apart; the third is missing.
    for name, when in (("00000000", 1000), ("00000001", 4600), ("00000003", 4620)):
        os.utime(folder / f"{name}.json", (when, when))
    store.delete(f"{record['items'][0]['commits']}/00000002.json")
    reader = StatusReader(str(out))
    item = reader.read(now=4700).items[0]
    assert (item.units_per_s, item.left_s, item.last) == (0.05, 20.0, 4620.0)
    assert (reader.read(now=4620 + 200).driver, reader.read(now=4620 + 201).driver) == ("working", "silent")


def test_watching_ends_with_the_run_when_it_has_ended(finished_words, capsys):
    assert main(["status", finished_words, "--watch", "0.01", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["state"] == "finished"


def test_the_remedy_is_named_when_there_is_no_run(tmp_path, capsys):
    assert main(["status", str(tmp_path), "--json"]) == 2
    assert capsys.readouterr().err == (
        f"{tmp_path}: no run here; start one with `curation run RECIPE --out {tmp_path}`\n"
    )
