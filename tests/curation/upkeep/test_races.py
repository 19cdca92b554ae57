"""What a review proved wrong once: copies and checks of what changes meanwhile, and what removals leave behind."""

import os
import time
from datetime import timedelta

import pytest
from picture_recipes import record_in, results_in

from curation.errors import CorruptionError, RecipeError
from curation.storage.store import Store
from curation.upkeep import copies
from curation.upkeep import sweep as sweep_module
from curation.upkeep.copies import copy_run
from curation.upkeep.repair import drop_damaged
from curation.upkeep.sweep import sweep
from curation.upkeep.verify import verify_run
from jobs.cli import main
from stages.deliver.validate import verify_shards


def check(run):
    return verify_run(str(run), verify_shards).damages


def make_unfinished(run):
    """Makes a finished run one that is going on; what its record was at the end."""
    whole = (run / "run.json").read_bytes()
    record = record_in(run)
    for path in [*run.glob("ledger/*/*"), *run.glob("shards/*/*")]:
        path.unlink()
    (run / "run.json").write_bytes(
        record.model_copy(
            update={"state": "running", "ledger": None, "shards": None, "items": record.items[:3]}
        ).to_bytes()
    )
    return whole


def test_the_copy_is_no_run_when_the_run_ends_while_it_is_copied(finished, run, tmp_path, monkeypatch):
    whole = make_unfinished(run)
    copy = copies._Copier.copy

    def going_on(self, path):
        (run / "run.json").write_bytes(whole)
        return copy(self, path)

    monkeypatch.setattr(copies._Copier, "copy", going_on)
    copy_run(str(run), str(tmp_path / "copy"))
    assert check(tmp_path / "copy") == ()


def test_nothing_is_copied_as_whole_when_a_committed_file_is_gone(run, tmp_path):
    sorted(run.glob("pool/fetch*/data/*"))[0].unlink()
    with pytest.raises(CorruptionError):
        copy_run(str(run), str(tmp_path / "copy"))


def test_data_goes_along_when_it_is_committed_during_the_listing(run, tmp_path, monkeypatch):
    below = Store.files_below
    late = sorted(run.glob("ledger/[!c]*/*"))[0].relative_to(run).as_posix()

    def listed_before(self, folder=""):
        return [file for file in below(self, folder) if file.path != late or "copy" in self.url]

    monkeypatch.setattr(Store, "files_below", listed_before)
    copy_run(str(run), str(tmp_path / "copy"))
    assert check(tmp_path / "copy") == ()


def test_removed_rows_go_from_the_copy_when_they_were_removed_between_two_copies(run, tmp_path, monkeypatch):
    target = tmp_path / "copy"
    copy = copies._Copier.copy

    def breaking_off(self, path):
        if path in self.inventory.commits:
            raise KeyboardInterrupt
        return copy(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(copies._Copier, "copy", breaking_off)
        with pytest.raises(KeyboardInterrupt):
            copy_run(str(run), str(target))
    from curation.ledger.open_run import open_ledger

    key = open_ledger(str(run)).collect()["key"][0]
    (tmp_path / "keys.txt").write_text(key + "\n")
    assert main(["remove", str(run), "--keys", str(tmp_path / "keys.txt")]) == 0
    copy_run(str(run), str(target))
    assert verify_run(str(target), verify_shards).orphans == ()


def test_no_commit_is_missing_when_the_run_goes_on_while_it_is_verified(run, monkeypatch):
    whole = make_unfinished(run)
    from curation.upkeep import verify

    take = verify.take_inventory

    def going_on(store):
        found = take(store)
        (run / "run.json").write_bytes(whole)
        return found

    monkeypatch.setattr(verify, "take_inventory", going_on)
    assert check(run) == ()


def removed(run, tmp_path):
    from curation.ledger.open_run import open_ledger

    for n in (0, 1):
        key = open_ledger(str(run)).collect()["key"][n]
        (tmp_path / "keys.txt").write_text(key + "\n")
        assert main(["remove", str(run), "--keys", str(tmp_path / "keys.txt")]) == 0


def test_it_is_named_when_a_record_of_a_removal_is_gone(run, tmp_path):
    removed(run, tmp_path)
    for n in (1, 2):
        path = run / f"removals/0000000{n}.json"
        content = path.read_bytes()
        path.unlink()
        assert [d.path for d in check(run)] == [f"removals/0000000{n}.json"]
        path.write_bytes(content)


def test_removed_rows_are_known_when_the_table_of_them_is_damaged(run, tmp_path, again):
    removed(run, tmp_path)
    assert again(run) == 0
    path = max(run.glob("removals/rows-*.parquet"), key=lambda p: p.stat().st_mtime_ns)
    results = results_in(run)
    whole = path.read_bytes()
    for damaged in [whole[:100], whole[:50] + bytes([whole[50] ^ 1]) + whole[51:]]:
        path.write_bytes(damaged)
        assert again(run) == 0
        assert results_in(run) == results


def test_a_finished_delivery_stays_and_is_named_when_it_has_lost_a_commit(run):
    record = record_in(run)
    (run / "run.json").write_bytes(record.model_copy(update={"shards": None, "ledger": None, "items": ()}).to_bytes())
    sorted(run.glob("shards/commits-*/*"))[1].unlink()
    tars = sorted(run.glob("shards/[!c]*/*.tar"))
    for path in run.rglob("*"):
        os.utime(path, (time.time() - 10 * 86400,) * 2)

    sweep(str(run))
    assert sorted(run.glob("shards/[!c]*/*.tar")) == tars
    assert [d.path.rpartition("/")[2] for d in check(run)] == ["manifest.json"]


def test_fresh_data_stays_when_a_run_is_going_on(run):
    (run / "run.json").write_bytes(record_in(run).model_copy(update={"state": "running"}).to_bytes())
    path = next(run.glob("pool/*/data")) / "00000000-x.parquet"
    path.write_bytes(b"x")
    sweep(str(run), timedelta(0))
    assert path.exists()


class Resumed:
    """A run that died with a shard and a part of the ledger written and not committed, and goes on during a sweep."""

    FILES = ("shards/*/000001.tar", "shards/*/000001.parquet", "ledger/*/part-00000001.parquet")
    COMMITS = ("shards/commits-*/00000001.json", "ledger/commits-*/00000001.json")

    def __init__(self, run):
        self.run = run
        self.content = {path: path.read_bytes() for name in self.FILES for path in run.glob(name)}
        self.commits = {path: path.read_bytes() for name in self.COMMITS for path in run.glob(name)}
        for path in [*self.commits, *run.glob("shards/*/manifest.json")]:
            path.unlink()
        self.note("interrupted")
        for path in run.rglob("*"):
            os.utime(path, (time.time() - 10 * 86400,) * 2)

    def note(self, state):
        ended = {"ledger": None, "shards": None, "state": state}
        (self.run / "run.json").write_bytes(record_in(self.run).model_copy(update=ended).to_bytes())

    def note_beginning(self):
        self.note("running")

    def write(self):
        for path, content in self.content.items():
            path.write_bytes(content)

    def commit(self):
        for path, content in self.commits.items():
            path.write_bytes(content)


@pytest.mark.parametrize(
    ("steps", "idle"),
    [
        (["note_beginning"], False),
        (["write"], False),
        (["commit"], False),
        (["note_beginning", "write", "commit"], False),
        (["write", "commit"], True),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_files_of_fixed_names_stay_when_a_run_goes_on_after_they_were_found(run, monkeypatch, steps, idle):
    resumed = Resumed(run)
    dead = next(run.glob("pool/*/data")) / "00000000-dead.parquet"
    dead.write_bytes(b"x")
    os.utime(dead, (0, 0))
    unfinished = sweep_module.Store.unfinished_uploads

    def going_on(self):
        for step in steps:
            getattr(resumed, step)()
        return unfinished(self)

    # Between the looks at everything and the first removal.
    monkeypatch.setattr(sweep_module.Store, "unfinished_uploads", going_on)
    swept = sweep(str(run), idle=idle)
    assert [path for path in resumed.content if not path.exists()] == []
    assert [path for path, _ in swept.files] == [dead.relative_to(run).as_posix()]
    assert not dead.exists()
    assert {run / path for path in [*swept.young, *swept.held]} == set(resumed.content)


def test_files_of_fixed_names_go_when_the_run_that_left_them_stays_dead(run):
    resumed = Resumed(run)
    resumed.note("running")
    os.utime(run / "run.json", (0, 0))
    assert sweep(str(run)).files == ()
    swept = sweep(str(run), idle=True)
    assert {run / path for path, _ in swept.files} == set(resumed.content)
    assert [path for path in resumed.content if path.exists()] == []


def test_files_of_a_run_stay_when_another_one_begins_after_that_was_said_to_have_ended(run, monkeypatch):
    resumed = Resumed(run)
    resumed.note("running")
    now = sweep_module.Store.now

    def going_on(self):
        begun = record_in(run).model_copy(update={"items": ()})
        (run / "run.json").write_bytes(begun.to_bytes())
        return now(self)

    monkeypatch.setattr(sweep_module.Store, "now", going_on)
    swept = sweep(str(run), idle=True)
    assert {run / path for path in swept.held} == set(resumed.content)
    assert [path for path in resumed.content if not path.exists()] == []


def test_a_folder_is_refused_when_it_leads_out_of_the_store(tmp_path):
    with pytest.raises(CorruptionError):
        Store(str(tmp_path)).child("../x")


def test_a_copy_is_refused_when_another_run_has_begun_there(run, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/run.json").write_bytes(
        record_in(run).model_copy(update={"recipe": "other", "state": "running"}).to_bytes()
    )
    with pytest.raises(RecipeError):
        copy_run(str(run), str(tmp_path / "other"))


def test_later_phases_of_other_recipes_go_too_when_a_part_is_repaired(finished, run):
    recipe = finished[0]
    assert (
        main(["run", str(recipe), "--out", str(run), "--runner", "in-process", "--set", "decode_images.side_px=40"])
        == 0
    )
    part = sorted(run.glob("pool/text_rules-*/data/*"))[1]
    os.truncate(part, 20)
    drop_damaged(str(run), verify_run(str(run), verify_shards))
    assert len(list(run.glob("pool/fetch*/commits-*/00000001.json"))) == 0
