"""What is checked before anything is sent, what a job is given, what its end means. See tests/cluster for the rest."""

import itertools
import json
import os
import threading
from argparse import Namespace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path

import pytest
import ray
from word_recipes import write_recipe

from curation.runtime.on_ray.job_server import Job
from jobs import submit
from jobs.cli import main, make_parser
from jobs.cluster_jobs import ended_code

NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def recipe(tmp_path):
    return str(write_recipe(tmp_path))


def refusal(capsys, *arguments):
    assert main(["submit", *arguments, "--address", NOBODY]) == 2
    return capsys.readouterr().err


@pytest.fixture
def cluster_of():
    """A server that says which version of Ray it runs, or something else altogether."""
    servers = []

    def started(body, status=200):
        class Answers(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Answers))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield started
    for server in servers:
        server.shutdown()


@pytest.fixture
def restarted_cluster():
    """A job server that knows of `drawn-0` for the first two questions, as one whose head is then restarted."""
    version = {"version": "4", "ray_version": ray.__version__, "ray_commit": "", "session_name": ""}
    details = {"type": "SUBMISSION", "submission_id": "drawn-0", "status": "RUNNING", "entrypoint": "python"}
    questions = itertools.count()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/api/version":
                return self._answer(200, json.dumps(version).encode())
            if self.path == "/api/jobs/drawn-0" and next(questions) < 2:
                return self._answer(200, json.dumps(details).encode())
            return self._answer(404, b"Job drawn-0 does not exist")

        def do_POST(self):
            self._answer(404, b"Job drawn-0 does not exist")

        def _answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_job_is_told_to_be_lost_when_the_head_forgets_it_while_it_is_followed(restarted_cluster, capsys):
    assert main(["jobs", "logs", "-f", "drawn-0", "--address", restarted_cluster]) == 4
    said = capsys.readouterr().err
    assert said.startswith(f"drawn-0: {restarted_cluster} knew this job and has no record of it any more: its head was")
    assert "submit it again" in said


@pytest.mark.parametrize("command", ["status", "logs", "stop"])
@pytest.mark.parametrize(
    ("job", "code", "message"),
    [
        ("my-pairs-20261124-101500-3f2a", 4, "has no record of this job: its head was restarted since"),
        ("my-pears", 2, "no such job at"),
    ],
)
def test_a_lost_job_is_told_from_a_misspelt_one_when_nobody_knows_it(
    restarted_cluster, capsys, command, job, code, message
):
    assert main(["jobs", command, job, "--address", restarted_cluster]) == code
    assert message in capsys.readouterr().err


def test_mistakes_of_the_recipe_are_told_here_when_it_is_wrong(recipe, capsys):
    said = refusal(capsys, recipe, "--out", "s3://b/o", "--set", "text_rules.min_wrods=1")
    assert "min_wrods: unknown; did you mean min_words?" in said


def test_misplaced_steps_are_told_here_when_the_recipe_places_them(recipe, capsys):
    said = refusal(
        capsys, recipe, "--out", "s3://b/o", "--set", "run.placement.select=x", "--set", "run.placement.text_rule=x"
    ).splitlines()
    assert said[0].endswith(
        "run.placement.select: it decides in the driver's process, on the head; only what measures or "
        "delivers is placed"
    )
    assert said[1].endswith("run.placement.text_rule: no step has this name; did you mean text_rules?")


def test_reason_is_refused_here_when_no_row_can_fail_for_it(recipe, capsys):
    assert "too_sad" in refusal(capsys, recipe, "--out", "s3://b/o", "--retry-failed", "too_sad")


def test_folder_of_this_machine_is_refused_when_a_cluster_is_to_write_there(recipe, capsys):
    assert refusal(capsys, recipe, "--out", "runs/mine").startswith(
        "--out runs/mine: a folder of this machine is of no"
    )


def test_secret_is_missed_here_when_it_is_not_set(recipe, capsys):
    said = refusal(capsys, recipe, "--out", "s3://b/o", "--secret", "NOT_SET_ANYWHERE")
    assert said.startswith("--secret NOT_SET_ANYWHERE: not set in the environment of this command")


@pytest.mark.parametrize(
    "words",
    [
        ("--set", "source.path=https://h/a.csv?sig=abcd", "--out", "s3://b/o"),
        ("--set", "source.storage_options={secret: hush-hush}", "--out", "s3://b/o"),
        ("--out", "s3://AKID:se/cret@b/o"),
    ],
)
def test_argument_is_refused_when_the_cluster_would_show_a_secret_in_it(recipe, capsys, words):
    said = refusal(capsys, recipe, *words)
    assert said.startswith("an argument holds a secret, which the cluster would show with the job")


@pytest.fixture
def _nothing_known(monkeypatch):
    monkeypatch.setattr("curation.masking._known", set())


@pytest.mark.usefixtures("_nothing_known")
def test_argument_is_refused_when_it_holds_what_is_passed_by_a_name_that_tells_nothing(recipe, capsys, monkeypatch):
    monkeypatch.setenv("MY_LOGIN", "hunter22")
    said = refusal(capsys, recipe, "--out", "s3://corp-hunter22/run", "--secret", "MY_LOGIN")
    assert said.startswith("an argument holds a secret, which the cluster would show with the job")


@pytest.mark.usefixtures("_nothing_known")
def test_argument_is_accepted_when_it_holds_a_region_that_is_passed_by_name(recipe, capsys, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    said = refusal(capsys, recipe, "--out", "s3://corp-us-east-1/run", "--secret", "AWS_REGION")
    assert NOBODY in said
    assert "holds a secret" not in said


def test_secret_in_the_recipe_is_told_when_it_would_travel(recipe, capsys):
    text = Path(recipe).read_text(encoding="utf-8")
    Path(recipe).write_text(text.replace("source:\n", "source:\n  storage_options: {secret: hush-hush}\n", 1))
    said = refusal(capsys, recipe, "--out", "s3://b/o")
    assert "words.yaml holds a secret, which will lie on the cluster's disks" in said
    assert "hush-hush" not in said


def test_recipe_is_missed_here_when_there_is_none(capsys):
    assert refusal(capsys, "gone.yaml", "--out", "s3://b/o").startswith("gone.yaml: the recipe cannot be read")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (NOBODY, f"{NOBODY}: no job server answers ([Errno 111] Connection refused); is the cluster up"),
        ("127.0.0.1:6379", "127.0.0.1:6379: the address of a job server is a URL such as http://127.0.0.1:8265"),
        ("ray://host:10001", "ray://host:10001: the address of a job server is a URL such as"),
    ],
)
def test_address_is_refused_when_no_job_server_is_there(capsys, address, message):
    assert main(["jobs", "list", "--address", address]) == 2
    assert capsys.readouterr().err.startswith(message)


def test_cluster_is_refused_when_its_ray_is_too_old(cluster_of, recipe, capsys):
    address = cluster_of(
        json.dumps({"version": "4", "ray_version": "2.40.0", "ray_commit": "", "session_name": ""}).encode()
    )

    assert main(["submit", recipe, "--out", "s3://b/o", "--address", address]) == 2
    assert capsys.readouterr().err.startswith(f"{address}: the cluster runs Ray 2.40.0, but this project needs >=2.60")


@pytest.mark.parametrize(
    "answer",
    [(b"<html>", 200), (b"", 404), (b"{}", 200), (b"", 503), (b"[]", 200), (b"7", 200), (b'{"version": 1}', 200)],
)
def test_address_is_refused_when_something_else_answers(cluster_of, capsys, answer):
    address = cluster_of(*answer)

    assert main(["jobs", "list", "--address", address]) == 2
    assert capsys.readouterr().err.startswith(f"{address}: ")


def test_environment_is_left_alone_when_it_names_another_cluster(cluster_of, monkeypatch, capsys):
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")
    address = cluster_of(b"{}")

    assert main(["jobs", "list", "--address", address]) == 2
    assert address in capsys.readouterr().err
    assert os.environ["RAY_ADDRESS"] == "192.0.2.1:6379"


def given(*words):
    return make_parser().parse_args(["submit", *words])


def test_arguments_of_run_go_to_the_job_when_they_are_given(recipe):
    args = given(
        recipe, "--address", "http://h:1", "--out", "s3://b/o", "--set", "run.part_rows=7", "--refresh", "--json"
    )

    assert (args.address, args.json, args.wait) == ("http://h:1", True, True)
    assert args.passed_words == [recipe, "--out", "s3://b/o", "--set", "run.part_rows=7", "--refresh"]
    assert (args.passed.refresh, args.passed.overrides) == (True, ["run.part_rows=7"])


def test_unknown_argument_is_refused_when_neither_knows_it(recipe, capsys):
    with pytest.raises(SystemExit):
        given(recipe, "--out", "s3://b/o", "--refesh")
    assert "--refesh" in capsys.readouterr().err


def test_recipe_is_named_by_its_place_there_when_it_is_sent(recipe):
    args = given("--set", "name=" + recipe, recipe, "--out", recipe)
    there = submit._arguments(args, submit.Submission("words", {recipe: "text"}))

    assert there == ["--set", "name=" + recipe, "submitted/words.yaml", "--out", recipe]


def test_settings_travel_when_a_training_is_submitted(tmp_path):
    (tmp_path / "t.yaml").write_text("model: {}\n")
    args = given(
        "--job", "train", "s3://b/shards", "--out", "/mnt/m", "--config", str(tmp_path / "t.yaml"), "--workers", "4"
    )

    local = {str(tmp_path / "t.yaml"): "text"}
    there = submit._arguments(args, submit.Submission("train", local))
    assert there == ["s3://b/shards", "--out", "/mnt/m", "--config", "submitted/t.yaml", "--workers", "4"]


def test_settings_travel_when_they_are_given_in_one_word(tmp_path):
    args = given("--job", "train", "s3://b/shards", "--out", "/mnt/m", "--config=t.yaml")

    there = submit._arguments(args, submit.Submission("train", {"t.yaml": "text"}))
    assert there == ["s3://b/shards", "--out", "/mnt/m", "--config=submitted/t.yaml"]


def test_mistakes_of_a_training_are_told_here_when_it_is_wrong(capsys):
    said = refusal(capsys, "--job", "train", "s3://b/shards", "--out", "/mnt/m", "--set", "data.stream=1")
    assert "data.stream: unknown; did you mean streams?" in said


def test_arguments_are_those_of_evaluate_when_it_is_submitted():
    args = given("--job", "evaluate", "embedded:clip", "--data", "/mnt/eval", "--limit", "10")

    assert (args.passed.model, args.passed.limit) == ("embedded:clip", 10)


@pytest.mark.parametrize(
    ("status", "exit_code", "meaning"),
    [
        ("SUCCEEDED", 0, 0),
        ("FAILED", 3, 3),
        ("FAILED", 2, 2),
        ("FAILED", None, 1),
        ("FAILED", -9, 137),
        ("STOPPED", None, 130),
        ("STOPPED", 0, 130),
    ],
)
def test_exit_code_is_the_drivers_when_a_job_has_ended(status, exit_code, meaning):
    job = Job("j", status, exit_code, datetime.now(UTC), None, "python", {}, "")

    assert ended_code(job) == meaning


def test_names_of_jobs_are_plain_when_recipes_have_others():
    assert submit._slug("My Pairs: Größe/2") == "my-pairs-gr-e-2"
    assert submit._slug("***") == "job"


def test_plan_from_afar_needs_no_source_when_it_lies_elsewhere(tmp_path, capsys):
    recipe = tmp_path / "far.yaml"
    recipe.write_text(
        "name: far\nsource: {kind: url_table, path: /mnt/not/here.parquet}\nsteps: [{kind: text_rules}]\n"
    )

    submission = submit._check_curate(
        Namespace(recipe=str(recipe), out="s3://b/o", overrides=[], refresh=False, retry_failed=None)
    )
    assert (submission.name, submission.metadata("curate")["out"]) == ("far", "s3://b/o")
