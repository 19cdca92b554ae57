"""`curation plan` and `curation run`: exit codes, documents, and what an interruption leaves."""

import json
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from word_recipes import write_recipe

from curation.ledger.open_run import open_ledger, open_run
from jobs import curate
from jobs.cli import main
from stages.text.rules import TextRules


@pytest.fixture
def recipe(tmp_path):
    return str(write_recipe(tmp_path))


@pytest.fixture
def run(recipe, tmp_path):
    def run(*arguments):
        return main(["run", recipe, "--out", str(tmp_path / "out"), "--runner", "in-process", *arguments])

    return run


def test_the_summary_is_the_only_document_when_json_is_asked_for(run, capsys):
    assert run("--json") == 0
    captured = capsys.readouterr()
    summary = json.loads(captured.out)
    assert (summary["rows_in"], summary["kept"]) == (20, 12)
    assert summary["rejected"] == {"text_rules.missing": 4, "select.min_text_words": 4}
    assert (summary["failed"], summary["quarantined"], summary["shards"]) == ({}, [], None)
    assert "phase text_rules: 4 units" in captured.err


def test_the_sum_is_told_in_words_when_no_json_is_asked_for(run, capsys, tmp_path):
    assert run() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "20 rows in = 12 kept + 8 rejected + 0 failed"
    assert lines[1] == "gone for: text_rules.missing 4, select.min_text_words 4"
    assert (Path(lines[2].removeprefix("ledger: ")) / "part-00000000.parquet").is_file()


def test_it_is_told_where_to_look_when_nothing_was_kept(run, capsys, tmp_path):
    assert run("--set", "select.rules.0.min=1000") == 0
    assert f"nothing was kept: `curation funnel {tmp_path / 'out'}` shows" in capsys.readouterr().out


def test_it_is_told_when_the_source_has_no_rows(recipe, run, capsys, tmp_path):
    (tmp_path / "empty.csv").write_text("url,caption\n")
    assert run("--set", f"source.path={tmp_path / 'empty.csv'}", "--set", "source.carry=[]") == 0
    assert "the source has no rows: is its `path` the right one?" in capsys.readouterr().out


def test_plan_is_refused_when_a_step_goes_by_captions_and_there_are_none(recipe, tmp_path, capsys):
    (tmp_path / "urls.txt").write_text("http://a/1.jpg\n")
    for change in (f"source.path={tmp_path / 'urls.txt'}", "source.caption_column=null"):
        assert main(["plan", recipe, "--set", change]) == 2
        assert "(text_rules): reads `caption`, but the source has none" in capsys.readouterr().err


def test_nothing_is_done_again_when_run_a_second_time(run, capsys):
    run("--json")
    first = json.loads(capsys.readouterr().out)
    assert run("--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == first
    assert captured.err.count("nothing to do") == captured.err.count("done in") == 3


def test_metrics_and_recipe_lie_beside_the_results_when_a_run_ended(run, tmp_path):
    run("--set", "select.rules.0.min=3")
    out = tmp_path / "out"
    assert "min: 3" in (out / "recipe.yaml").read_text()
    lines = [json.loads(line) for path in sorted((out / "metrics").iterdir()) for line in path.open()]
    assert sum(line["rows_in"] for line in lines if line["event"] == "unit" and line["item"] == "text_rules") == 20


def test_metrics_of_both_are_kept_when_two_drivers_begin_in_one_second(run, tmp_path, monkeypatch):
    class StoppedClock(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)

    monkeypatch.setattr(curate, "datetime", StoppedClock)
    run()
    first = {path.name: path.read_bytes() for path in (tmp_path / "out" / "metrics").iterdir()}
    run()
    both = {path.name: path.read_bytes() for path in (tmp_path / "out" / "metrics").iterdir()}
    assert all(name.startswith("20260102T030405000000-") for name in both)
    assert len(first) == 3
    assert len(both) == 6
    assert both.items() >= first.items()


def test_the_plan_starts_nothing_when_it_is_shown(recipe, tmp_path, capsys):
    assert main(["plan", recipe, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [(item["kind"], item["name"]) for item in plan["items"]] == [("phase", "text_rules"), ("decision", "select")]
    assert plan["items"][0]["reads"] == ["caption"]
    assert plan["items"][1]["reads"] == ["text_words"]
    assert plan["resolved"]["run"]["part_rows"] == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.jsonl", "words.yaml"]


def test_nodes_are_shown_when_the_recipe_places_steps(recipe, capsys):
    assert main(["plan", recipe, "--set", "run.placement.text_rules=near_node"]) == 0
    assert "           nodes text_rules on near_node\n" in capsys.readouterr().out
    assert main(["plan", recipe, "--json", "--set", "run.placement.text_rules=near_node"]) == 0
    (step,) = json.loads(capsys.readouterr().out)["items"][0]["steps"]
    assert step == {"step": "text_rules", "cpus": 1.0, "gpus": 0.0, "nodes": "near_node"}


def test_nothing_is_done_again_when_steps_are_placed_elsewhere(run, capsys):
    assert run() == 0
    assert run("--set", "run.placement.text_rules=near_node") == 0
    assert capsys.readouterr().err.count("nothing to do") == 3


def test_each_item_has_its_columns_when_the_plan_is_shown_in_words(recipe, capsys):
    assert main(["plan", recipe]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "recipe words, parts of 5 rows"
    assert lines[1:3] == ["    phase  text_rules", "           reads caption"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("min_words: 1", "min_wrods: 1", "words.yaml:7: steps.0.min_wrods: unknown; did you mean min_words?"),
        (
            "{column: text_words, min: 2}",
            "{column: text_words, mni: 2}",
            "words.yaml:10: steps.1.rules.0.mni: unknown; ",
        ),
        (
            "    min_words: 1\n",
            "    min_words: 1\n    min_words: 2\n",
            "words.yaml:8: steps.0.min_words: the key stands",
        ),
        ("min_words: 1", "min_words: '1'", "words.yaml:7: steps.0.min_words: must be a whole number, not '1'"),
        (
            "column: text_words",
            "column: text_wrods",
            "steps.1 (select): reads the column text_wrods, which no step mak",
        ),
        (
            "kind: text_rules",
            "kind: text_rule",
            "words.yaml:6: steps.0.kind: unknown kind 'text_rule'; did you mean te",
        ),
        ("list.jsonl", "lost.jsonl", "source (web): "),
        (
            "  - kind: select",
            "  - {kind: score_alignment, model: ViT-L-15/openai}\n  - kind: select",
            "steps.1 (score_alignment): ",
        ),
    ],
    ids=["key", "nested key", "twice", "type", "column", "kind", "source", "model"],
)
def test_place_and_remedy_are_told_and_nothing_is_started_when_the_recipe_is_wrong(
    tmp_path, recipe, run, capsys, old, new, message
):
    text = Path(recipe).read_text()
    assert old in text
    Path(recipe).write_text(text.replace(old, new))
    assert run("--json") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert "words.yaml" in captured.err
    assert not (tmp_path / "out").exists()


def test_the_remedy_is_named_when_a_folder_cannot_be_written(recipe, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["run", recipe, "--out", str(tmp_path / "file"), "--runner", "in-process"]) == 2
    assert "cannot be written: " in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["run"], ["run", "r.yaml"], ["fly"], ["run", "r.yaml", "--out", "x", "-z"]])
def test_the_code_is_2_when_the_arguments_are_wrong(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: curation" in capsys.readouterr().err


def test_the_code_is_3_when_parts_were_set_aside(run, monkeypatch, capsys, tmp_path):
    process = TextRules.process

    def breaks(self, table):
        if 7 in table["row"].to_pylist():
            raise ValueError("this part breaks the stage")
        return process(self, table)

    monkeypatch.setattr(TextRules, "process", breaks)
    assert run("--json", "--set", "run.max_tries=1") == 3
    captured = capsys.readouterr()
    summary = json.loads(captured.out)
    assert summary["quarantined"] == [{"item": "text_rules", "unit": 1}]
    assert summary["failed"] == {"quarantined": 5}
    assert "unit 1 is set aside: ValueError: this part breaks the stage" in captured.err
    monkeypatch.undo()
    assert run("--json") == 0
    assert json.loads(capsys.readouterr().out)["failed"] == {}


def test_it_is_said_and_nothing_is_done_when_no_row_failed_so(run, capsys, tmp_path):
    run("--json")
    first = json.loads(capsys.readouterr().out)
    assert first["revisit"] is None
    assert run("--retry-failed", "dns_not_found,http_gone") == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1] == "retry 1: no row had failed for dns_not_found, http_gone"
    assert run("--retry-failed", "all", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["ledger"], summary["revisit"]["number"], summary["revisit"]["asked"]) == (first["ledger"], 2, 0)
    assert main(["status", str(tmp_path / "out")]) == 0
    assert "recipe words: finished (retry 2 of all failures), 20 rows" in capsys.readouterr().out
    assert run("--json") == 0
    assert json.loads(capsys.readouterr().out) == first
    assert main(["status", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["revisit"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--retry-failed", "http_sever_error"],
            "no row fails for 'http_sever_error'; did you mean http_server_error?",
        ),
        (["--retry-failed", "select.min"], "no row fails for 'select.min'; known are all, bad_content_encoding, "),
        (["--refresh"], "--refresh: no step of the recipe fetches anything that could have changed"),
    ],
)
def test_nothing_is_started_when_it_cannot_be_asked_again(run, capsys, tmp_path, arguments, message):
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nothing_is_fetched_when_what_is_to_be_verified_against_is_a_number(tmp_path, capsys):
    pq.write_table(pa.table({"url": ["http://127.0.0.1:1/a"], "caption": ["a"], "crc": [7]}), tmp_path / "list.parquet")
    fetch = "{kind: fetch_images, allow_public: false, allow_networks: [127.0.0.0/8], verify_md5: crc}"
    source = f"{{kind: url_table, path: {tmp_path}/list.parquet, carry: [crc]}}"
    (tmp_path / "r.yaml").write_text(f"source: {source}\nsteps: [{fetch}]\n")
    assert main(["run", str(tmp_path / "r.yaml"), "--out", str(tmp_path / "out"), "--runner", "in-process"]) == 2
    told = "r.yaml: steps.0 (fetch_images): verify_md5: column crc is of type int64; digests are text or binary"
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out" / "run.json").exists()


def test_a_retry_is_refused_when_no_step_measures(recipe, run, capsys, tmp_path):
    steps = "  - {kind: select, rules: [{name: a, where: \"caption <> 'x'\"}]}\n"
    text = Path(recipe).read_text()
    Path(recipe).write_text(text[: text.index("steps:")] + "steps:\n" + steps)
    assert run("--retry-failed", "all") == 2
    assert "--retry-failed: no step of the recipe measures anything" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_summary_is_of_this_run_when_another_driver_begins_before_it_is_told(run, capsys, tmp_path, monkeypatch):
    def followed_by_another(*arguments, **settings):
        result = curate.curate_once(*arguments, **settings)
        store, record = open_run(str(tmp_path / "out"))
        store.write_bytes("run.json", record.model_copy(update={"state": "running", "ledger": None}).to_bytes())
        return result

    monkeypatch.setattr(curate, "curate_once", curate.curate, raising=False)
    monkeypatch.setattr(curate, "curate", followed_by_another)
    assert run("--json") == 0
    assert json.loads(capsys.readouterr().out)["kept"] == 12


def test_the_code_is_2_when_both_a_retry_and_a_refresh_are_asked_for(run, capsys):
    with pytest.raises(SystemExit) as caught:
        run("--refresh", "--retry-failed", "all")
    assert caught.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_the_code_is_2_when_a_metrics_port_is_asked_of_a_cluster_that_is_joined(tmp_path, capsys):
    arguments = [str(write_recipe(tmp_path)), "--out", str(tmp_path / "out")]
    assert main(["run", *arguments, "--address", "10.0.0.1:6379", "--metrics-port", "9464"]) == 2
    assert "--metrics-port: a cluster that is joined has its own" in capsys.readouterr().err


def test_the_code_is_2_before_anything_is_written_when_traces_cannot_go_there(tmp_path, capsys):
    arguments = [str(write_recipe(tmp_path)), "--out", str(tmp_path / "out"), "--runner", "in-process"]
    assert main(["run", *arguments, "--trace", "grpc://host:1"]) == 2
    assert "is no place for traces" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_everything_committed_is_kept_and_the_next_run_finishes_when_interrupted(tmp_path, capsys):
    recipe = str(write_recipe(tmp_path, rows=200))
    out = tmp_path / "out"
    arguments = [recipe, "--out", str(out), "--runner", "in-process", "--json", "--set", "run.part_rows=2"]
    command = [sys.executable, "-m", "jobs.curate", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while len(list(out.glob("pool/text_rules-*/commits-*/[0-9]*.json"))) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        printed, complaint = process.communicate(timeout=60)
    assert (process.returncode, printed) == (130, "")
    assert complaint.endswith("interrupted; everything committed is kept, the same command goes on from there\n")
    assert "Traceback" not in complaint
    assert open_run(str(out))[1].state == "interrupted"
    committed = {path: path.read_bytes() for path in out.glob("pool/*/commits-*/[0-9]*.json")}
    assert 5 <= len(committed) < 100
    assert not list(out.rglob(".writing-*"))
    assert main(["run", *arguments]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["rows_in"] == 200
    assert f"phase text_rules: 100 units, {len(committed)} done before" in captured.err
    assert all(path.read_bytes() == data for path, data in committed.items())
    assert sorted(open_ledger(str(out)).collect()["row"]) == list(range(200))


@pytest.mark.parametrize(
    ("change", "phases"),
    [("run.part_rows=4", ["text_rules"]), ("text_rules.min_words=2", ["text_rules"]), ("select.rules.0.min=3", [])],
)
def test_it_is_told_when_a_phase_is_measured_anew(run, caplog, change, phases):
    assert run() == 0
    assert "measured anew" not in caplog.text
    assert run("--set", change) == 0
    told = [message.partition(":")[0] for message in caplog.messages if "all of it is measured anew" in message]
    assert told == phases
    caplog.clear()
    assert run("--set", change) == 0
    assert "measured anew" not in caplog.text


def test_command_to_save_it_is_told_when_a_preset_is_planned_by_its_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "datacomp_basic"]) == 2
    assert "`curation recipes show datacomp_basic > datacomp_basic.yaml`" in capsys.readouterr().err


def test_usage_is_that_of_the_command_when_an_argument_is_unknown(recipe, capsys):
    with pytest.raises(SystemExit):
        main(["plan", recipe, "--cpu-count", "3"])
    said = capsys.readouterr().err
    assert said.startswith("usage: curation plan ")
    assert "unrecognized arguments: --cpu-count 3" in said


def test_version_is_told_when_it_is_asked_for(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("curation 0.")
