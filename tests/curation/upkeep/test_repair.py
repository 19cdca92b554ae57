"""What is damaged is made again by the next run, to the same bytes, and nothing else is."""

import os

import pytest
from picture_recipes import commits_in, measured_in, record_in, results_in

from curation.errors import RecipeError
from curation.upkeep.repair import drop_damaged
from curation.upkeep.verify import verify_run
from stages.deliver.validate import verify_shards

FETCH = "fetch_images-decode_images-fingerprint"


def repaired(run):
    return drop_damaged(str(run), verify_run(str(run), verify_shards))


def damage(run, pattern):
    path = sorted(run.glob(pattern))[1]
    os.truncate(path, path.stat().st_size // 2)
    return path.relative_to(run).as_posix()


@pytest.mark.parametrize(
    ("pattern", "made_again"),
    [
        ("pool/text_rules-*/data/*", {"text_rules": {1}, FETCH: {1}}),
        ("pool/fetch*/data/*", {FETCH: {1}}),
        ("pool/fetch*/commits-*/*", {FETCH: {1}}),
        ("decisions/*/commit.json", {"write_shards": {0}}),
        ("decisions/*/*.parquet", {"write_shards": {0}}),
        ("shards/[!c]*/*.tar", {"write_shards": {1}}),
        ("shards/commits-*/*", {"write_shards": {1}}),
        ("ledger/[!c]*/*", {"ledger": {1}}),
        ("ledger/commits-*/*", {"ledger": {1}}),
    ],
)
def test_it_and_nothing_else_is_made_again_when_something_was_damaged(finished, run, again, pattern, made_again):
    name = damage(run, pattern)
    commits = commits_in(run)
    repair = repaired(run)
    assert name in repair.dropped
    assert repair.beyond == []
    assert not (run / name).exists()
    assert again(run) == 0
    assert measured_in(run) == made_again
    assert commits_in(run) == commits
    assert results_in(run) == results_in(finished[1])
    assert verify_run(str(run), verify_shards).damages == ()


@pytest.mark.parametrize(
    ("pattern", "made_again"),
    [
        ("decisions/dedup*/commit.json", {"deduplicate": {0}}),
        ("decisions/write_shards*/commit.json", {"write_shards": {0}}),
        ("shards/[!c]*/manifest.json", {}),
    ],
)
def test_it_and_nothing_else_is_made_again_when_it_was_lost(finished, run, again, pattern, made_again):
    (lost,) = run.glob(pattern)
    lost.unlink()
    repair = repaired(run)
    assert repair.beyond == []
    assert [path for path in repair.dropped if not path.endswith("/sizes.json")] == []
    assert lost.relative_to(run).as_posix() in [d.path for d in verify_run(str(run), verify_shards).damages]
    assert again(run) == 0
    assert measured_in(run) == made_again
    assert commits_in(run) == commits_in(finished[1])
    assert results_in(run) == results_in(finished[1])
    assert verify_run(str(run), verify_shards).damages == ()


def test_the_results_are_not_called_whole_when_a_part_of_them_was_dropped(run):
    damage(run, "shards/[!c]*/*.tar")
    damage(run, "ledger/[!c]*/*")
    repaired(run)
    record = record_in(run)
    assert (record.ledger, record.shards) == (None, None)
    assert not list(run.glob("shards/*/manifest.json"))


def test_a_removal_is_never_forgotten_when_its_record_is_damaged(run):
    (run / "removals").mkdir()
    (run / "removals/00000001.json").write_text("{")
    repair = repaired(run)
    assert (repair.dropped, repair.beyond) == ([], ["removals/00000001.json"])
    assert (run / "removals/00000001.json").exists()


def test_nothing_is_dropped_when_a_run_is_going_on(run):
    name = damage(run, "pool/fetch*/data/*")
    record = record_in(run)
    (run / "run.json").write_bytes(record.model_copy(update={"state": "running"}).to_bytes())
    with pytest.raises(RecipeError, match="--run-has-ended"):
        repaired(run)
    assert (run / name).exists()
    drop_damaged(str(run), verify_run(str(run), verify_shards), idle=True)
    assert not (run / name).exists()
