"""Files that are damaged behind the run's back: found, named, never passed over, made again when that is asked for."""

import contextlib
import json
import os
import shutil

import pyarrow.parquet as pq
import pytest
from json_documents import document
from picture_recipes import commits_in, results_in, run_pictures

from curation.errors import CorruptionError
from curation.ledger.open_run import open_ledger
from jobs.cli import main

POOL = "pool/fetch*/"
RESULTS = ("decisions", "shards", "ledger")
LEDGER = "ledger/[!c]*/*.parquet"


def flip(path):
    """Turns one bit over, in the middle."""
    flip_at(path, path.stat().st_size // 2)


def flip_at(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def flip_in(column):
    """Turns one bit over in the values of a column of the first row group."""

    def damage(path):
        group = pq.read_metadata(path).row_group(0)
        (chunk,) = (
            group.column(number) for number in range(group.num_columns) if group.column(number).path_in_schema == column
        )
        first = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
        flip_at(path, first + chunk.total_compressed_size - 2)

    return damage


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("pattern", "damage", "read_again"),
    [
        (f"{POOL}data/*.parquet", flip, RESULTS),
        *((f"{POOL}data/*.parquet", flip_in(name), RESULTS) for name in ("row", "key", "sha256", "pdq", "outcome")),
        *((f"{POOL}data/*.parquet", flip_in(name), RESULTS) for name in ("original_width", "original_height")),
        (f"{POOL}commits-*/*.json", cut, RESULTS),
        ("source/source/*.parquet", flip_in("url"), ("pool", *RESULTS)),
        ("source/source/*.parquet", flip_in("caption"), ("shards", "ledger")),
        ("decisions/deduplicate*/*.parquet", flip, ("shards", "ledger")),
        ("decisions/deduplicate*/*.parquet", flip_in("reason"), ("decisions/write*", "shards", "ledger")),
        ("decisions/write*/units*.parquet", flip_in("shard_position"), ("shards",)),
        ("decisions/deduplicate*/commit.json", cut, ("shards", "ledger")),
    ],
)
def test_it_is_named_and_made_again_on_request_when_a_file_that_is_read_is_damaged(
    undisturbed_pictures, tmp_path, capsys, pattern, damage, read_again
):
    recipe, whole = undisturbed_pictures
    out, path, name = damaged_copy(whole, tmp_path / "out", pattern, damage, capsys)
    damaged = path.read_bytes()
    # What was made of it is gone, so that the run has to read it.
    for folders in read_again:
        for folder in out.glob(folders):
            shutil.rmtree(folder)
    code = run_pictures(recipe, out)
    said = capsys.readouterr().err
    assert (code, name in said) == (1, True), said
    assert not list(out.glob("shards/*/manifest.json"))
    assert path.read_bytes() == damaged
    repair_and_run(recipe, whole, out, name, capsys)


@pytest.mark.parametrize(
    ("pattern", "damage", "code", "named"),
    [
        # The run reads no shard that is finished, and no commit of one.
        ("shards/[!c]*/*.tar", flip, 0, False),
        ("shards/[!c]*/*.parquet", cut, 0, False),
        ("shards/commits-*/*.json", cut, 1, True),
        # To sum the run up, it reads the ledger: how rows ended, and nothing else of them.
        (LEDGER, flip_in("outcome"), 1, True),
        (LEDGER, flip_in("url"), 0, False),
        ("ledger/commits-*/*.json", cut, 0, False),
    ],
)
def test_a_run_that_reads_a_damaged_result_names_it_and_makes_it_again_on_request(
    undisturbed_pictures, tmp_path, capsys, pattern, damage, code, named
):
    recipe, whole = undisturbed_pictures
    out, path, name = damaged_copy(whole, tmp_path / "out", pattern, damage, capsys)
    damaged = path.read_bytes()
    found = run_pictures(recipe, out)
    said = capsys.readouterr().err
    assert (found, name in said) == (code, named), said
    assert path.read_bytes() == damaged
    repair_and_run(recipe, whole, out, name, capsys)


def test_what_was_decided_of_a_damaged_measure_is_decided_anew_when_it_is_repaired(
    undisturbed_pictures, tmp_path, capsys
):
    recipe, whole = undisturbed_pictures
    out, _, name = damaged_copy(whole, tmp_path / "out", f"{POOL}data/*.parquet", flip_in("pdq"), capsys)
    dropped = document(capsys, "verify", str(out), "--repair", "--run-has-ended")["dropped"]
    assert name in dropped
    decided = [path.relative_to(whole).as_posix() for path in whole.glob("decisions/*/commit.json")]
    delivered = [path.relative_to(whole).as_posix() for path in whole.glob("shards/*/manifest.json")]
    assert len(decided) == 2
    assert {*decided, *delivered} <= {*dropped}
    assert run_pictures(recipe, out) == 0
    assert results_in(out) == results_in(whole)


def damaged_copy(whole, out, pattern, damage, capsys):
    """A copy of a whole folder, the file of it that was damaged, and its name; `verify` names that and nothing else."""
    shutil.copytree(whole, out)
    path = sorted(out.glob(pattern))[-1]
    damage(path)
    name = path.relative_to(out).as_posix()
    assert main(["verify", str(out), "--json"]) == 1
    assert {one["path"] for one in json.loads(capsys.readouterr().out)["damaged"]} == {name}
    return out, path, name


def repair_and_run(recipe, whole, out, name, capsys):
    """The run that goes on after a repair ends as one that nothing disturbed."""
    assert name in document(capsys, "verify", str(out), "--repair", "--run-has-ended")["dropped"]
    assert run_pictures(recipe, out) == 0
    assert commits_in(out) == commits_in(whole)
    assert results_in(out) == results_in(whole)
    assert document(capsys, "verify", str(out))["damaged"] == []


@pytest.mark.parametrize(
    ("command", "pattern", "damage"),
    [
        (["status", "OUT"], f"{POOL}commits-*/*.json", cut),
        (["status", "OUT"], "decisions/deduplicate*/commit.json", cut),
        (["status", "OUT"], "shards/commits-*/*.json", cut),
        (["status", "OUT"], "run.json", cut),
        (["plan", "RECIPE", "--out", "OUT", "--cpus", "4"], "run.json", cut),
        (["query", "OUT", "SELECT max(original_width) FROM ledger"], LEDGER, flip_in("original_width")),
        (["query", "OUT", "SELECT count(*) FROM ledger WHERE caption LIKE '%1%'"], LEDGER, flip_in("caption")),
        (["explain", "OUT", "data:,nothing"], LEDGER, flip_in("sha256")),
        (["funnel", "OUT"], LEDGER, flip_in("reason")),
        (["diff", "OUT", "WHOLE"], LEDGER, flip_in("key")),
        (["whatif", "OUT", "--set", "steps.4.perceptual.max_distance=2"], f"{POOL}data/*.parquet", flip_in("pdq")),
    ],
)
def test_the_file_is_named_when_a_command_reads_what_is_damaged(
    undisturbed_pictures, tmp_path, capsys, command, pattern, damage
):
    recipe, whole = undisturbed_pictures
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    path = sorted(out.glob(pattern))[-1]
    places = {"OUT": str(out), "WHOLE": str(whole), "RECIPE": str(recipe)}
    asked = [places.get(word, word) for word in command]
    assert main(asked) == 0
    capsys.readouterr()
    damage(path)
    assert main(asked) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"CorruptionError: {path}: ")
    assert "`curation verify`" in said


def test_no_flipped_bit_passes_unnoticed_when_a_ledger_is_queried(undisturbed_pictures, tmp_path):
    whole = undisturbed_pictures[1]
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    path = sorted(out.glob(LEDGER))[-1]
    good, content = open_ledger(str(out)).collect(), path.read_bytes()
    for place in range(0, len(content), 37):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        # What nobody reads, such as a statistic, may be wrong.
        with contextlib.suppress(CorruptionError):
            assert open_ledger(str(out)).collect().equals(good), place
