"""`curation plan` for a cluster that is stated."""

import json

import pytest
from word_recipes import write_recipe

from jobs.cli import main


def test_workers_and_hours_are_told_when_a_cluster_is_stated(tmp_path, capsys):
    recipe = str(write_recipe(tmp_path))
    out = tmp_path / "out"
    assert main(["run", recipe, "--out", str(out), "--runner", "in-process"]) == 0
    for path in out.glob("pool/text_rules-*/commits-*/*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": {"text_rules": 0.05}}))
    capsys.readouterr()
    # 5 rows in 0.05 s: 100 rows/s a worker, 16 workers.
    asked = ["--cpus", "8", "--nodes", "2", "--memory", "64G", "--out", str(out), "--rows", "5760000"]
    assert main(["plan", recipe, *asked, "--json"]) == 0
    resources = json.loads(capsys.readouterr().out)["resources"]
    assert resources["cluster"] == {"cpus": 16.0, "gpus": 0.0, "memory_bytes": 128e9}
    phase = next(phase for phase in resources["phases"] if phase["phase"] == "text_rules")
    assert [(pool["workers"], pool["cost"]) for pool in phase["pools"]] == [(16, "measured")]
    assert (phase["rows_per_s"], phase["hours"]) == (pytest.approx(1600), pytest.approx(1.0))
    assert main(["plan", recipe, *asked]) == 0
    shown = capsys.readouterr().out
    assert "16 x text_rules: 1 CPUs each; 0.05 s a part, measured" in shown
    assert "about 1,600 rows/s: 1.0 hours" in shown


def test_the_rows_are_those_of_the_run_when_none_are_stated(tmp_path, capsys):
    recipe = str(write_recipe(tmp_path))
    main(["run", recipe, "--out", str(tmp_path / "out"), "--runner", "in-process"])
    capsys.readouterr()
    assert main(["plan", recipe, "--cpus", "2", "--out", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["resources"]["rows"] == 20


def test_the_code_is_2_with_the_sum_when_the_stated_cluster_is_too_small(tmp_path, capsys):
    assert main(["plan", str(write_recipe(tmp_path)), "--cpus", "0.5"]) == 2
    captured = capsys.readouterr()
    assert "does not fit" in captured.out
    assert "needs 1 CPUs and 0 GPUs at once" in captured.err


def test_the_code_is_2_when_a_cluster_is_stated_and_asked(tmp_path, capsys):
    assert main(["plan", str(write_recipe(tmp_path)), "--cpus", "4", "--address", "127.0.0.1:1"]) == 2
    assert "give one of the two" in capsys.readouterr().err


def test_the_argument_is_refused_when_memory_is_no_number_of_bytes(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["plan", str(write_recipe(tmp_path)), "--cpus", "4", "--memory", "lots"])
    assert "'lots' is no number of bytes; write it as 64G" in capsys.readouterr().err


def test_memory_is_refused_when_its_unit_was_forgotten(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["plan", str(write_recipe(tmp_path)), "--cpus", "4", "--memory", "64"])
    assert "'64' is less than any node has; write it as 64G" in capsys.readouterr().err


@pytest.mark.parametrize(("gpus", "told"), [("0", False), ("2", True)])
def test_gpus_are_told_of_when_no_step_asks_for_one(tmp_path, capsys, gpus, told):
    assert main(["plan", str(write_recipe(tmp_path)), "--cpus", "4", "--gpus", gpus]) == 0
    assert ("no step asks for a GPU" in capsys.readouterr().out) == told
