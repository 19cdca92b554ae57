"""Asking for other settings and taking rows down, in a folder of an object store: over a server that speaks S3."""

import json

import pytest
from s3_server import BUCKET, use_server
from word_recipes import write_recipe

from curation.ledger.open_run import open_ledger
from curation.storage.store import Store
from jobs.cli import main


@pytest.fixture
def bucket(s3_server, monkeypatch):
    use_server(s3_server, monkeypatch)
    return f"s3://{BUCKET}/asked-again"


@pytest.mark.slow
def test_rows_are_asked_for_and_taken_down_when_the_folder_is_in_an_object_store(bucket, tmp_path, capsys):
    out = f"{bucket}/run"
    recipe = str(write_recipe(tmp_path))
    assert main(["run", recipe, "--out", out, "--runner", "in-process"]) == 0
    names = Store(out).fs.find(Store(out).locate(""))
    capsys.readouterr()
    assert main(["whatif", out, "--set", "select.rules.0.min=3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == {"present": 12, "then": 8}
    assert Store(out).fs.find(Store(out).locate("")) == names

    (tmp_path / "urls").write_text("http://example.com/8.jpg\n")
    assert main(["remove", out, "--urls", str(tmp_path / "urls"), "--runner", "in-process", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["keys"], done["run"]["kept"]) == (1, 11)
    (row,) = open_ledger(out).filter(reason="removed").collect().to_dicts()
    assert (row["row"], row["url"], row["detail"]) == (8, None, "removal 1")
    assert main(["diff", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["same"] == 20
