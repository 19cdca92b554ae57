"""`curation verify`, `gc` and `copy` say what they found, and by their exit code whether all is well."""

import json
import os

import pytest
from word_recipes import write_recipe

from jobs.cli import main


@pytest.fixture
def run(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["run", str(write_recipe(tmp_path)), "--out", str(out), "--runner", "in-process"]) == 0
    capsys.readouterr()
    return out


def test_it_exits_with_one_and_names_the_file_when_something_is_damaged(run, capsys):
    assert main(["verify", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["damaged"] == []
    path = sorted(run.glob("ledger/[!c]*/*"))[0]
    os.truncate(path, 30)
    assert main(["verify", str(run)]) == 1
    assert capsys.readouterr().out.startswith(f"{path.relative_to(run)}: 30 bytes, not ")
    assert main(["verify", str(run), "--repair", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["path"] for one in told["damaged"]] == [str(path.relative_to(run))]
    assert str(path.relative_to(run)) in told["dropped"]
    assert main(["verify", str(run)]) == 1, "what was dropped is missing until a run has made it again"


def test_it_tells_what_would_go_when_asked_for_a_dry_run(run, capsys):
    left = run / "pool/text_rules-x/data/dead.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"left")
    os.utime(left, (0, 0))
    assert main(["gc", str(run), "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("pool/text_rules-x/data/dead.parquet\nwould remove 1 files (4 bytes)")
    assert left.exists()
    assert main(["gc", str(run), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == [{"path": "pool/text_rules-x/data/dead.parquet", "size_bytes": 4}]
    assert not left.exists()
    assert main(["gc", str(run), "--older-than", "soon"]) == 2
    assert "such as 12h" in capsys.readouterr().err


def test_it_can_be_looked_into_when_it_was_copied(run, tmp_path, capsys):
    assert main(["copy", str(run), str(tmp_path / "copy")]) == 0
    assert "0 were there" in capsys.readouterr().out
    assert main(["funnel", str(tmp_path / "copy"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows_in"] == 20
