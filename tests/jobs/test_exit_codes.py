"""Errors become messages and exit codes in one place."""

import os
import signal
import subprocess
import sys

import pytest

from curation.errors import CorruptionError, LostJobError, PlanError, RecipeError, StageError
from jobs.exit_codes import ExitCode, exit_code_of


@pytest.fixture(autouse=True)
def own_signal_handler():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def failing(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (RecipeError("r.yaml:3: a: unknown"), 2, "r.yaml:3: a: unknown\n"),
        (PlanError("add nodes"), 2, "add nodes\n"),
        (
            CorruptionError("x.parquet: was committed but is gone"),
            1,
            "CorruptionError: x.parquet: was committed but is",
        ),
        (StageError("lost a row", stage="draw", part=3), 1, "StageError: part 3, step draw: lost a row\n"),
        (LostJobError("words-1: no record"), 4, "words-1: no record\n"),
        (KeyboardInterrupt(), 130, "interrupted; everything committed is kept, the same command goes on from there\n"),
    ],
)
def test_the_code_tells_what_to_do_and_the_message_why_when_a_command_fails(capsys, error, code, message):
    assert exit_code_of(failing(error)) == code
    captured = capsys.readouterr()
    assert captured.err.startswith(message)
    assert captured.out == ""


@pytest.mark.parametrize("code", [0, 3, ExitCode.QUARANTINED])
def test_the_code_of_the_command_comes_back_when_it_ends(code):
    assert exit_code_of(lambda: code) == int(code)


def test_an_unknown_error_is_not_hidden_when_it_is_a_bug():
    with pytest.raises(ZeroDivisionError):
        exit_code_of(lambda: 1 // 0)


def test_it_ends_like_an_interrupted_one_when_a_command_is_terminated(capsys):
    assert exit_code_of(lambda: os.kill(os.getpid(), signal.SIGTERM) or 0) == 130
    assert "interrupted" in capsys.readouterr().err


def test_nothing_is_complained_of_when_the_reader_of_the_output_has_gone():
    code = (
        "import sys\nfrom jobs.exit_codes import exit_code_of\n"
        "sys.exit(exit_code_of(lambda: sys.stdout.write('x' * 10) and 0))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        complaint = process.stderr.read()
    assert (process.returncode, complaint) == (0, b"")
