"""Runs that are broken off anywhere: the record tells how far they came, and the next one comes to the same end."""

import pytest
from toy_runs import KillAfter, Killed, execute, files_of, ledger_of, logged
from toy_steps import CATALOGUE, CountingSource, WriteLines

from curation.engine.events import Listeners
from curation.engine.run import Run
from curation.errors import CorruptionError, CurationError
from curation.ledger.open_run import open_run
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from curation.runtime.in_process import InProcessRunner
from curation.storage.store import Store


def test_the_end_is_the_same_when_a_run_was_killed_anywhere(tmp_path):
    expected = files_of(tmp_path / "whole", execute(tmp_path / "whole", log=tmp_path))
    for words in (2, 9, 19, 24):
        folder = tmp_path / f"killed-{words}"
        logs = tmp_path / f"logs-{words}"
        logs.mkdir()
        with pytest.raises(Killed):
            execute(folder, log=logs, listener=KillAfter(words))
        result = execute(folder, log=logs)
        assert files_of(folder, result) == expected
        assert logged(logs / "measured") == list(range(100))
        assert logged(logs / "drawn") == [row for row in range(100) if row % 7]


def test_the_end_is_the_same_when_it_was_killed_between_data_and_commit(tmp_path, monkeypatch):
    expected = files_of(tmp_path / "whole", execute(tmp_path / "whole"))
    put = Store.put_if_absent
    for number in (1, 9, 17):
        left = iter(range(number, -1, -1))

        def killed_before_the_commit(store, path, data, left=left):
            if next(left) == 0:
                raise Killed
            return put(store, path, data)

        folder = tmp_path / f"killed-{number}"
        monkeypatch.setattr(Store, "put_if_absent", killed_before_the_commit)
        with pytest.raises(Killed):
            execute(folder)
        monkeypatch.setattr(Store, "put_if_absent", put)
        assert files_of(folder, execute(folder)) == expected


class StatusAt:
    """Reads the record whenever a unit is done."""

    def __init__(self, folder):
        self.folder = folder
        self.seen = []

    def item_started(self, start):
        record = open_run(str(self.folder))[1]
        self.seen.append((record.state, record.items[-1].kind, record.items[-1].name, record.items[-1].units))

    def unit_done(self, report):
        pass

    def item_ended(self, seconds):
        pass


def test_the_record_names_the_present_item_when_it_has_only_begun(tmp_path):
    status = StatusAt(tmp_path / "out")
    execute(tmp_path / "out", listener=status)
    assert status.seen == [
        ("running", "phase", "measure_text", 7),
        ("running", "phase", "draw-develop", 7),
        ("running", "decision", "threshold", 1),
        ("running", "decision", "write_lines", 1),
        ("running", "delivery", "write_lines", 5),
        ("running", "ledger", "ledger", 7),
    ]
    _, record = open_run(str(tmp_path / "out"))
    assert record.state == "finished"
    assert len(record.items) == 6


def run_of(folder, *overrides):
    text = (
        "source: {kind: counting, rows: 30}\nsteps: [{kind: measure_text}, {kind: write_lines}]\nrun: {part_rows: 16}"
    )
    recipe = parse_recipe(text, "r.yaml", CATALOGUE, overrides)
    return Run(recipe, make_plan(recipe), Store(str(folder)), InProcessRunner(1), Listeners())


def test_there_are_no_shards_but_a_whole_ledger_when_a_unit_cannot_be_written(tmp_path, monkeypatch):
    write = WriteLines.write

    def full(self, unit, table, store):
        if unit == 1:
            raise OSError(28, "No space left on device")
        return write(self, unit, table, store)

    monkeypatch.setattr(WriteLines, "write", full)
    result = run_of(tmp_path, "run.max_tries=1").execute()
    assert (result.shards, result.quarantined) == (None, (("write_lines", 1),))
    assert len(ledger_of(tmp_path, result)) == 30
    monkeypatch.undo()
    mended = run_of(tmp_path).execute()
    assert mended.quarantined == ()
    assert mended.ledger == result.ledger
    assert (tmp_path / mended.shards / "index.txt").read_text().split() == ["0.txt", "1.txt", "2.txt"]


def test_there_is_no_ledger_when_a_part_of_it_cannot_be_written(tmp_path, monkeypatch):
    read = CountingSource.read

    def broken(self, index, start, stop, workspace):
        if start == 16:
            raise OSError(5, "Input/output error")
        return read(self, index, start, stop, workspace)

    run_of(tmp_path).execute()
    monkeypatch.setattr(CountingSource, "read", broken)
    (tmp_path / "ledger").rename(tmp_path / "gone")
    with pytest.raises(CurationError, match="the ledger of part 1 cannot be written"):
        run_of(tmp_path, "run.max_tries=1").execute()
    assert open_run(str(tmp_path))[1].ledger is None


def _cut(content):
    return content[:-50]


def _with_another_bit_in_its_footer(content):
    place = len(content) - 20
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("damage", [_cut, _with_another_bit_in_its_footer])
@pytest.mark.parametrize(
    ("files", "made_again"),
    [
        ("pool/*/data/00000001-*", "ledger"),
        ("pool/*/data/00000001-*", "decisions"),
        ("decisions/*/verdicts-*", "ledger"),
    ],
)
def test_the_run_stops_with_the_file_when_a_committed_one_is_damaged(tmp_path, files, made_again, damage):
    run_of(tmp_path).execute()
    (tmp_path / made_again).rename(tmp_path / "gone")
    damaged = min(tmp_path.glob(files))
    damaged.write_bytes(damage(damaged.read_bytes()))
    with pytest.raises(CorruptionError, match=damaged.name):
        run_of(tmp_path).execute()


def test_interrupted_is_noted_when_a_run_is_ended_on_purpose(tmp_path):
    run = run_of(tmp_path)
    run.interrupted()
    assert not (tmp_path / "run.json").exists()
    run.execute()
    run.interrupted()
    assert open_run(str(tmp_path))[1].state == "interrupted"
