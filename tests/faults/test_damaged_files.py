"""Files that are damaged behind the run's back: found, named, never passed over, made again when that is asked for."""

import json
import os
import shutil

import pytest
from json_documents import document
from picture_recipes import commits_in, results_in, run_pictures

from jobs.cli import main

POOL = "pool/fetch*/"
RESULTS = ("decisions", "shards", "ledger")


def flip(path):
    """Turns one bit over, in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("pattern", "damage", "read_again"),
    [
        (f"{POOL}data/*.parquet", flip, RESULTS),
        (f"{POOL}commits-*/*.json", cut, RESULTS),
        ("decisions/deduplicate*/*.parquet", flip, ("shards", "ledger")),
        ("decisions/deduplicate*/commit.json", cut, ("shards", "ledger")),
        ("shards/[!c]*/*.tar", flip, ()),
        ("shards/[!c]*/*.parquet", cut, ()),
        ("shards/commits-*/*.json", cut, ()),
        ("ledger/[!c]*/*.parquet", flip, ()),
        ("ledger/commits-*/*.json", cut, ()),
    ],
)
def test_it_is_named_and_made_again_on_request_when_a_file_is_damaged(
    undisturbed_pictures, tmp_path, capsys, pattern, damage, read_again
):
    recipe, whole = undisturbed_pictures
    out = shutil.copytree(whole, tmp_path / "out")
    path = sorted(out.glob(pattern))[-1]
    damage(path)
    name, damaged = path.relative_to(out).as_posix(), path.read_bytes()
    assert main(["verify", str(out), "--json"]) == 1
    assert {one["path"] for one in json.loads(capsys.readouterr().out)["damaged"]} == {name}

    # What was made of it is gone, so that the run has to read it.
    for folder in read_again:
        shutil.rmtree(out / folder)
    code = run_pictures(recipe, out)
    said = capsys.readouterr().err
    if read_again:
        assert (code, name in said) == (1, True), said
        assert not list(out.glob("shards/*/manifest.json"))
    else:
        # Of what is finished the run reads no more than the ledger, to sum it up.
        assert code == 0 or "`curation verify` names what is damaged" in said or name in said
    assert path.read_bytes() == damaged

    assert name in document(capsys, "verify", str(out), "--repair", "--run-has-ended")["dropped"]
    assert run_pictures(recipe, out) == 0
    assert commits_in(out) == commits_in(whole)
    assert results_in(out) == results_in(whole)
    assert document(capsys, "verify", str(out))["damaged"] == []
