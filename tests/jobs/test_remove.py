"""`curation remove`, over a folder that was really made."""

import json
import shutil
from pathlib import Path

import pytest
from json_documents import document

from curation.storage.store import Store
from jobs.cli import main
from jobs.demo import open_ledger


@pytest.fixture
def out(finished_words, tmp_path):
    return str(shutil.copytree(finished_words, tmp_path / "out"))


def listed(tmp_path, text, name="list.txt"):
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def remove(capsys, out, *arguments):
    return document(capsys, "remove", out, "--runner", "in-process", *arguments)


def test_a_new_version_is_written_when_rows_are_removed(out, tmp_path, capsys):
    urls = listed(tmp_path, "https://EXAMPLE.com:443/8.jpg\nhttp://example.com/./3.jpg#x\n")
    done = remove(capsys, out, "--urls", urls, "--reason", "request 7")
    assert (done["removal"], done["keys"], done["source_rows"]) == (1, 2, 2)
    assert (done["run"]["kept"], done["run"]["rejected"]["removed"], done["run"]["rows_in"]) == (10, 2, 20)
    assert (done["erased"][0]["pool_rows"], done["erased"][0]["ledger_rows"]) == (2, 2)
    ledger = open_ledger(out).collect()
    assert ledger.filter(reason="removed").select("row", "url", "caption", "text").rows() == [
        (3, None, None, None),
        (8, None, None, None),
    ]
    assert not Store(out).list("source")
    assert main(["status", out]) == 0
    assert "removal 1 of" in capsys.readouterr().out
    again = remove(capsys, out, "--urls", urls)
    assert (again["removal"], again["erased"], again["run"]["ledger"]) == (None, [], done["run"]["ledger"])


def test_people_are_told_what_it_does_not_reach_when_rows_are_removed(out, tmp_path, capsys):
    domains = listed(tmp_path, "example.com\n")
    assert main(["remove", out, "--domains", domains, "--no-run"]) == 0
    shown = capsys.readouterr().out
    assert "removal 1: 20 pairs (removals/00000001.json)" in shown
    assert "the source still has them, in 20 rows" in shown
    assert "no new version was written; `curation run" in shown
    assert main(["whatif", out, "--set", "select.rules.0.min=0"]) == 0
    assert "0 rows are kept, 0 would be" in capsys.readouterr().out


def test_it_is_told_and_finished_when_a_removal_was_broken_off(out, tmp_path, capsys):
    remove(capsys, out, "--urls", listed(tmp_path, "http://example.com/8.jpg\n"), "--no-run")
    Store(out).delete("removals/00000001-erased.json")
    capsys.readouterr()
    assert main(["status", out]) == 0
    assert "begun and not finished: `curation remove" in capsys.readouterr().out
    recipe = f"{out}/recipe.yaml"
    assert main(["run", recipe, "--out", out, "--runner", "in-process"]) == 2
    assert "removal 1 was begun and is not finished" in capsys.readouterr().err
    done = remove(capsys, out)
    assert (len(done["erased"]), done["run"]["kept"]) == (1, 11)


def test_the_code_is_2_when_nothing_can_be_removed(out, tmp_path, capsys):
    assert main(["remove", out]) == 2
    assert "nothing was removed here yet; give a list" in capsys.readouterr().err
    assert main(["remove", str(tmp_path / "nowhere"), "--keys", listed(tmp_path, "1\n")]) == 2
    assert "is no key" in capsys.readouterr().err


def test_it_waits_for_nobody_when_a_run_goes_on(out, tmp_path, capsys):
    store = Store(out)
    record = json.loads(store.read_bytes("run.json")) | {"state": "running", "ledger": None}
    store.write_bytes("run.json", json.dumps(record).encode())
    urls = listed(tmp_path, "http://example.com/8.jpg\n")
    assert main(["remove", out, "--urls", urls]) == 2
    assert "a run is going on here, by its record" in capsys.readouterr().err
    done = remove(capsys, out, "--urls", urls, "--run-has-ended")
    assert (done["keys"], done["run"]) == (1, None)


def test_recipe_is_asked_for_when_the_folder_has_none(out, tmp_path, capsys):
    Path(out, "recipe.yaml").unlink()
    keys = tmp_path / "keys.txt"
    keys.write_text("0" * 32)
    assert main(["remove", out, "--keys", str(keys)]) == 2
    assert "recipe.yaml: is missing, so nothing tells where the rows come from" in capsys.readouterr().err


def test_what_was_removed_is_told_when_the_rest_cannot_be_delivered_anew(out, tmp_path, capsys):
    recipe = Path(out) / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("list.jsonl", "gone.jsonl"))
    urls = listed(tmp_path, "http://example.com/8.jpg\n")
    assert main(["remove", out, "--runner", "in-process", "--urls", urls, "--json"]) == 2
    said = capsys.readouterr()
    done = json.loads(said.out)
    assert (done["removal"], done["erased"][0]["pool_rows"], done["run"]) == (1, 1, None)
    assert "the rows are removed, but no new version could be written" in said.err
    assert "gone.jsonl" in said.err
