"""A copy is the run: whole, or none; and it goes on where the run had come to."""

import pytest
from picture_recipes import PARTS, measured_in, record_in, results_in

from curation.errors import CorruptionError, RecipeError
from curation.storage.store import Store
from curation.upkeep import copies
from curation.upkeep.copies import copy_run
from curation.upkeep.verify import verify_run
from stages.deliver.validate import verify_shards


def test_nothing_is_done_again_when_a_copy_is_run(run, again, tmp_path):
    (run / "pool/text_rules-dead/data").mkdir(parents=True)
    (run / "pool/text_rules-dead/data/x.parquet").write_bytes(b"nobody's")
    copied = copy_run(str(run), str(tmp_path / "copy"))
    assert copied.left_out == ["pool/text_rules-dead/data/x.parquet"]
    assert results_in(tmp_path / "copy") == results_in(run)
    assert verify_run(str(tmp_path / "copy"), verify_shards).damages == ()
    assert again(tmp_path / "copy") == 0
    assert measured_in(tmp_path / "copy") == {}


def test_it_goes_on_there_when_half_a_run_was_copied(finished, run, again, tmp_path):
    for pattern in ("pool/fetch*/commits-*/*", "ledger/commits-*/*", "shards/commits-*/*", "decisions/*/commit.json"):
        for path in sorted(run.glob(pattern))[0 if "pool" not in pattern else 2 :]:
            path.unlink()
    copy_run(str(run), str(tmp_path / "copy"))
    assert again(tmp_path / "copy") == 0
    worked = measured_in(tmp_path / "copy")
    assert worked["fetch_images-decode_images-fingerprint"] == set(range(2, PARTS))
    assert "text_rules" not in worked
    assert results_in(tmp_path / "copy") == results_in(finished[1])


@pytest.mark.parametrize("after", [1, 12, 40, 60])
def test_it_shows_no_run_and_can_be_taken_up_when_it_was_broken_off(run, tmp_path, monkeypatch, after):
    done = []
    target = tmp_path / "copy"
    copy = copies._Copier.copy

    def breaking_off(self, path):
        if len(done) == after:
            raise KeyboardInterrupt
        done.append(path)
        return copy(self, path)

    monkeypatch.setattr(copies._Copier, "copy", breaking_off)
    with pytest.raises(KeyboardInterrupt):
        copy_run(str(run), str(target), threads=1)
    assert not Store(str(target)).exists("run.json")
    half = verify_run(str(target), verify_shards)
    assert {damage.path for damage in half.damages} == {"run.json"}, "every commit that is there has all of its files"
    monkeypatch.setattr(copies._Copier, "copy", copy)
    again = copy_run(str(run), str(target))
    assert again.there == len(done)
    assert results_in(target) == results_in(run)
    assert verify_run(str(target), verify_shards).damages == ()
    assert record_in(target) == record_in(run)


def test_a_damaged_file_is_named_and_not_copied_when_there_is_one(run, tmp_path):
    path = sorted(run.glob("pool/fetch*/data/*"))[0]
    content = bytearray(path.read_bytes())
    content[50] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptionError, match=path.name):
        copy_run(str(run), str(tmp_path / "copy"))
    assert not (tmp_path / "copy" / path.relative_to(run)).exists()
    assert not list((tmp_path / "copy").rglob("commits-*"))


def test_a_file_that_is_there_is_written_anew_when_it_is_not_the_same(run, tmp_path):
    path = sorted(run.glob("pool/fetch*/data/*"))[0].relative_to(run)
    (tmp_path / "copy" / path).parent.mkdir(parents=True)
    (tmp_path / "copy" / path).write_bytes(bytes((run / path).stat().st_size))
    copy_run(str(run), str(tmp_path / "copy"))
    assert (tmp_path / "copy" / path).read_bytes() == (run / path).read_bytes()


def test_it_is_refused_when_another_run_lies_there(run, again, tmp_path):
    assert again(tmp_path / "other") == 0
    before = {path: path.read_bytes() for path in (tmp_path / "other").rglob("*") if path.is_file()}
    with pytest.raises(RecipeError, match="another run lies there"):
        copy_run(str(run), str(tmp_path / "other"))
    assert {path: path.read_bytes() for path in (tmp_path / "other").rglob("*") if path.is_file()} == before
    with pytest.raises(RecipeError, match="lies in the folder"):
        copy_run(str(run), str(run / "copy"))
    with pytest.raises(RecipeError, match="no run here"):
        copy_run(str(tmp_path / "nothing"), str(tmp_path / "copy"))
