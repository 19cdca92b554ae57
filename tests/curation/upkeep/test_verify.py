"""Whatever is damaged is found and named, and only that."""

import json
import os
import shutil
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from curation.ledger.open_run import open_ledger
from curation.storage.hashing import HashingReader
from curation.upkeep.verify import verify_run
from jobs.cli import main
from stages.deliver.validate import verify_shards


def damages_in(run):
    found = verify_run(str(run), verify_shards)
    return {damage.path: damage.problem for damage in found.damages}


def one(run: Path, pattern: str) -> Path:
    return sorted(run.glob(pattern))[1]


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)


def test_nothing_is_wrong_when_a_run_is_whole(run):
    found = verify_run(str(run), verify_shards)
    assert (found.damages, found.orphans, found.uploads) == ((), (), ())
    commits = {p.relative_to(run).as_posix() for p in run.rglob("*.json") if "commit" in str(p.relative_to(run))}
    assert set(found.inventory.commits) == commits
    patterns = ("pool/*/data/*", "decisions/*/*.parquet", "ledger/[!c]*/*", "shards/[!c]*/[0-9]*")
    data = {path.relative_to(run).as_posix() for pattern in patterns for path in run.glob(pattern)}
    assert {path for commit in found.inventory.commits.values() for path, _ in commit.files} == data


@pytest.mark.parametrize(
    "pattern",
    [
        "pool/text_rules-*/data/*",
        "pool/fetch*/data/*",
        "decisions/write_shards*/*.parquet",
        "ledger/[!c]*/*",
        "shards/[!c]*/*.tar",
        "shards/[!c]*/*.parquet",
    ],
)
def test_the_file_is_named_when_one_bit_of_it_changed(run, pattern):
    path = one(run, pattern)
    flip(path, path.stat().st_size // 2)
    damages = damages_in(run)
    assert list(damages) == [path.relative_to(run).as_posix()]
    assert "SHA-256" in damages[path.relative_to(run).as_posix()]


@pytest.mark.parametrize("pattern", ["pool/fetch*/data/*", "ledger/[!c]*/*", "shards/[!c]*/*.tar"])
def test_the_file_is_named_when_it_is_gone_or_cut_short(run, pattern):
    first, second = sorted(run.glob(pattern))[:2]
    first.unlink()
    os.truncate(second, second.stat().st_size - 100)
    damages = damages_in(run)
    assert damages[first.relative_to(run).as_posix()] == "missing"
    assert "bytes, not" in damages[second.relative_to(run).as_posix()]
    assert len(damages) == 2


@pytest.mark.parametrize(
    "pattern", ["pool/fetch*/commits-*/*", "decisions/dedup*/commit.json", "ledger/commits-*/*", "shards/commits-*/*"]
)
def test_the_commit_is_named_when_it_is_cut_short(run, pattern):
    path = sorted(run.glob(pattern))[-1]
    os.truncate(path, 20)
    damages = damages_in(run)
    name = path.relative_to(run).as_posix()
    assert "not a record of this version" in damages[name]
    # The manifest still lists the shard, so its files are known to be whole.
    assert list(damages) == [name]
    assert verify_run(str(run), verify_shards).orphans == (), "what an unreadable commit named is not up for removal"


def test_the_commit_is_named_when_it_is_gone(run):
    path = one(run, "pool/fetch*/commits-*/*")
    path.unlink()
    assert damages_in(run) == {path.relative_to(run).as_posix(): "missing"}


@pytest.mark.parametrize(
    "pattern", ["decisions/dedup*/commit.json", "decisions/write_shards*/commit.json", "shards/[!c]*/manifest.json"]
)
def test_it_is_named_when_a_finished_run_has_lost_a_decision_or_its_manifest(run, pattern):
    (path,) = run.glob(pattern)
    path.unlink()
    assert damages_in(run) == {path.relative_to(run).as_posix(): "missing"}


def remove_a_row(run, tmp_path):
    """Takes a row down; the folders of decisions that this deletes."""
    before = set(run.glob("decisions/*"))
    kept = open_ledger(str(run)).filter(pl.col("outcome") == "kept").collect()
    (tmp_path / "keys.txt").write_text(kept["key"][0] + "\n")
    assert main(["remove", str(run), "--keys", str(tmp_path / "keys.txt"), "--no-run"]) == 0
    return before - set(run.glob("decisions/*"))


def test_nothing_is_missing_when_a_removal_has_taken_it_back(run, tmp_path):
    assert len(remove_a_row(run, tmp_path)) == 2
    assert damages_in(run) == {}


def test_a_decision_is_missing_when_a_removal_would_have_taken_all_of_it(run, tmp_path):
    (commit,) = run.glob("decisions/dedup*/commit.json")
    left = commit.with_name("verdicts-left.parquet")
    remove_a_row(run, tmp_path)
    left.parent.mkdir()
    left.write_bytes(b"left")
    assert damages_in(run) == {commit.relative_to(run).as_posix(): "missing"}


def test_a_decision_is_missing_when_the_run_that_made_it_came_after_every_removal(run, tmp_path, again):
    gone = remove_a_row(run, tmp_path)
    assert again(run) == 0
    assert damages_in(run) == {}
    (folder,) = (path for path in run.glob("decisions/dedup*") if path not in gone)
    shutil.rmtree(folder)
    assert damages_in(run) == {f"{folder.relative_to(run).as_posix()}/commit.json": "missing"}


def test_a_ledger_is_wrong_when_it_holds_other_rows_than_its_commit_says(run):
    path, commit = one(run, "ledger/[!c]*/*"), one(run, "ledger/commits-*/*")
    pq.write_table(pq.read_table(path).slice(1).take([2, 0, 1]), path)
    with path.open("rb") as file:
        record = HashingReader(file).record(path.name, 3)
    document = json.loads(commit.read_text())
    document["files"] = [record.model_dump()]
    commit.write_text(json.dumps(document))
    damages = damages_in(run)
    assert damages[path.relative_to(run).as_posix()] == "its rows are not consecutive"
    assert damages[path.parent.relative_to(run).as_posix()] == "has 23 rows of 24"


def test_a_decision_is_wrong_when_it_does_not_count_what_it_holds(run):
    (commit,) = run.glob("decisions/dedup*/commit.json")
    document = json.loads(commit.read_text())
    document["rejected"] = {name: count + 1 for name, count in document["rejected"].items()}
    commit.write_text(json.dumps(document))
    assert damages_in(run) == {commit.relative_to(run).as_posix(): "does not count what its file holds"}


def test_what_nobody_names_is_told_when_a_writer_died(run):
    orphans = ["pool/text_rules-x/data/00000000-dead.parquet", "shards/abc/000009.tar", "ledger/.writing-1-x"]
    for name in orphans:
        (run / name).parent.mkdir(exist_ok=True, parents=True)
        (run / name).write_bytes(b"left")
    (run / "notes.txt").write_text("mine")
    found = verify_run(str(run), verify_shards)
    assert found.damages == ()
    assert set(found.orphans) == set(orphans)
