"""What is removed is in no file of the folder any more, wherever the removal was broken off, and never comes back."""

import json
import shutil

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from toy_runs import KillAfter, Killed, execute, ledger_of, logged
from toy_steps import CATALOGUE

from curation.engine.remembered import Remembered
from curation.errors import RecipeError
from curation.ledger.open_run import open_ledger, open_run
from curation.recipe.load import parse_recipe
from curation.removals.records import Removals
from curation.removals.remove import Takedown, carry_out, note_removal
from curation.storage.layout import REMEMBERED
from curation.storage.store import Store
from schemas.records import Erased, PartCommit, RemovalList

RECIPE = """
source: {kind: counting, rows: 60}
steps:
  - {kind: measure_text, min_words: 1, decides: true, log: LOG/measured}
  - {kind: threshold, min: 3}
  - {kind: draw, log: LOG/drawn}
  - {kind: develop}
  - {kind: threshold, name: page_wise, column: page, min: 0}
  - {kind: write_lines, unit_rows: 10}
run: {part_rows: 16}
"""
URLS = ["u/3", "u/11", "u/15", "u/7", "u/1"]
"""Two that are kept, one that fails, one that a stage rejects, one that an exchange rejects."""
ROWS = {3, 11, 15, 7, 1}


def run(folder, *overrides, **more):
    return execute(folder, *overrides, text=RECIPE, **more)


def takedown(**entries):
    lists = tuple(RemovalList(kind=kind, entries=len(given), sha256="0" * 64) for kind, given in entries.items())
    return Takedown(lists, entries, "asked for")


def note(folder, removal, **more):
    store, record = open_run(str(folder))
    source = parse_recipe(RECIPE.replace("LOG", "x"), "r", CATALOGUE).source
    return note_removal(store, record, source, removal, **more)


def remove(folder, **entries):
    result = note(folder, takedown(**entries))
    return result, carry_out(Store(str(folder)))


def keys_of(rows):
    source = parse_recipe(RECIPE.replace("LOG", "x"), "r", CATALOGUE).source
    table = source.read(source.index(None), 0, 60, None)
    return {
        row: key for row, key in zip(table["row"].to_pylist(), table["key"].to_pylist(), strict=True) if row in rows
    }


def what_is_left(folder, keys):
    """Values that any table of the folder holds of rows of these keys, beside what every removed row has."""
    left = []
    for path in folder.rglob("*.parquet"):
        table = pq.ParquetFile(path).read()
        if "key" not in table.column_names:
            continue
        for row in table.to_pylist():
            if row["key"] in keys:
                values = {name for name, value in row.items() if value is not None} - {"row", "key"}
                is_bare = values == {"outcome", "step", "reason", "detail"} and row["reason"] == "removed"
                left += [] if is_bare else [(path.name, row)]
    return left


def delivered_urls(folder):
    lines = [line for path in (folder / "shards").rglob("*.txt") for line in path.read_text().splitlines()]
    return {line.split()[1] for line in lines if line.startswith(tuple("0123456789")) and " " in line}


def unnamed_files(folder):
    """Data files of the pool that no commit names, and files that were never finished."""
    commits = [PartCommit.model_validate_json(path.read_bytes()) for path in folder.glob("pool/*/commits-*/*.json")]
    named = {file.path for commit in commits for file in commit.files}
    unnamed = [path for path in folder.glob("pool/*/data/*") if f"data/{path.name}" not in named]
    return unnamed + list(folder.rglob(".writing-*"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "out"
    run(folder, "threshold.min=4")
    run(folder)
    return folder


@pytest.fixture
def out(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "out")


def test_nothing_is_left_of_the_rows_when_they_are_removed(out):
    before = open_ledger(str(out)).collect()
    assert len(what_is_left(out, keys_of(ROWS).values())) > 10
    result, (erased,) = remove(out, urls=URLS)
    assert set(result.removal.keys) == set(keys_of(ROWS).values())
    assert result.source_rows == 5
    assert what_is_left(out, keys_of(ROWS).values()) == []
    assert not delivered_urls(out) & set(URLS)
    assert unnamed_files(out) == []
    assert len(erased.shards) == 2
    blanked = open_ledger(str(out)).collect()
    untouched = ~pl.col("row").is_in(list(ROWS))
    assert blanked.filter(untouched).equals(before.filter(untouched))


def test_a_rerun_delivers_the_others_and_asks_for_nothing_when_rows_were_removed(out, tmp_path):
    before = ledger_of(out, open_run(str(out))[1])
    remove(out, urls=URLS)
    result = run(out, log=tmp_path)
    assert logged(tmp_path / "drawn") == logged(tmp_path / "measured") == []
    ledger = ledger_of(out, result)
    removed = ledger.filter(reason="removed")
    assert set(removed["row"]) == ROWS
    assert removed.select("outcome", "step", "detail").unique().rows() == [("rejected", "remove", "removal 1")]
    assert set(ledger.filter(outcome="kept")["row"]) == set(before.filter(outcome="kept")["row"]) - ROWS
    assert delivered_urls(out) == set(ledger.filter(outcome="kept")["url"])
    assert len(ledger) == 60
    assert what_is_left(out, keys_of(ROWS).values()) == []
    again = run(out, log=tmp_path)
    assert (again.ledger, again.shards) == (result.ledger, result.shards)


def test_the_ledger_is_that_of_a_fresh_folder_when_it_knows_the_removal(out, tmp_path):
    remove(out, urls=URLS)
    fresh = tmp_path / "fresh"
    for path in (out / "removals").glob("*.json"):
        Store(str(fresh)).write_bytes(f"removals/{path.name}", path.read_bytes())
    expected = run(fresh, log=tmp_path)
    assert not {row for row in logged(tmp_path / "measured") if row in ROWS}
    assert ledger_of(out, run(out)).equals(ledger_of(fresh, expected))


def test_it_stays_away_when_a_changed_recipe_or_a_grown_source_is_run(out, tmp_path):
    remove(out, urls=URLS)
    for overrides in (["threshold.min=1"], ["source.rows=70"], ["run.part_rows=9"], ["measure_text.min_words=0"]):
        result = run(out, *overrides, log=tmp_path)
        assert set(ledger_of(out, result).filter(reason="removed")["row"]) == ROWS
        assert what_is_left(out, keys_of(ROWS).values()) == []
        assert not delivered_urls(out) & set(URLS)
    assert not set(logged(tmp_path / "drawn")) & ROWS


def test_pairs_are_removed_when_they_come_only_later(out):
    remove(out, urls=["u/66"])
    ledger = ledger_of(out, run(out, "source.rows=70"))
    assert ledger.filter(reason="removed").select("row", "url", "caption").rows() == [(66, None, None)]


def test_what_decisions_remember_goes_when_a_picture_is_removed(out):
    memory = Remembered(Store(str(out)).child(REMEMBERED))
    memory.keep("hashes", {"values": np.arange(3)})
    remove(out, urls=["u/4"])
    assert memory.recall("hashes") is None
    assert not list(out.rglob("*.npz"))


def test_only_the_named_pairs_go_when_they_are_named_by_key(out):
    keys = keys_of({3, 4})
    result, _ = remove(out, keys=list(keys.values()))
    assert sorted(result.removal.keys) == sorted(keys.values())
    assert what_is_left(out, keys.values()) == []
    assert set(ledger_of(out, run(out)).filter(reason="removed")["row"]) == {3, 4}


def test_nothing_happens_when_it_was_removed_before(out):
    remove(out, urls=URLS)
    run(out)
    files = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    result, erased = remove(out, urls=URLS[::-1])
    assert (result.removal, erased) == (None, [])
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == files
    second, _ = remove(out, urls=[*URLS, "u/4"])
    assert (second.removal.number, list(second.removal.keys)) == (2, list(keys_of({4}).values()))
    removed = ledger_of(out, run(out)).filter(reason="removed").sort("row")
    assert removed["detail"].to_list() == [f"removal {2 if row == 4 else 1}" for row in sorted({*ROWS, 4})]


def test_nothing_readable_is_noted_when_rows_are_removed(out):
    result, _ = remove(out, urls=URLS)
    noted = json.loads((out / "removals" / "00000001.json").read_text())
    assert not any(url in json.dumps(noted) for url in URLS)
    assert (noted["reason"], noted["lists"][0]["entries"]) == ("asked for", 5)
    assert noted["time"] == result.removal.time
    assert len(set(noted["urls"])) == 5


class KilledAtCall:
    """Ends the work at its nth change of the folder, before or after it was made."""

    def __init__(self, monkeypatch, number, *, after):
        self.left = number
        for name in ("write_bytes", "put_if_absent", "delete", "delete_folder", "open_write"):
            monkeypatch.setattr(Store, name, self._counted(getattr(Store, name), after))

    def _counted(self, method, after):
        def counted(store, *arguments):
            self.left -= 1
            if self.left == 0 and not after:
                raise Killed
            result = method(store, *arguments)
            if self.left == 0:
                raise Killed
            return result

        return counted


@pytest.mark.parametrize(
    ("number", "after"),
    [
        (1, False),
        (1, True),
        (2, True),
        (5, False),
        (9, True),
        (14, False),
        (20, True),
        (26, False),
        (33, True),
        (41, True),
    ],
)
def test_the_end_is_the_same_when_a_removal_was_killed_anywhere(finished, out, tmp_path, monkeypatch, number, after):
    with monkeypatch.context() as patch:
        KilledAtCall(patch, number, after=after)
        try:
            remove(out, urls=URLS)
            assert number > 30
        except Killed:
            pass
    if Removals(Store(str(out))).unfinished:
        with pytest.raises(RecipeError, match="removal 1 was begun and is not finished"):
            run(out)
    remove(out, urls=URLS)
    removals = Removals(Store(str(out)))
    assert (len(removals.known), removals.unfinished) == (1, ())
    assert what_is_left(out, keys_of(ROWS).values()) == []
    assert unnamed_files(out) == []
    assert not delivered_urls(out) & set(URLS)
    result = run(out, log=tmp_path)
    assert logged(tmp_path / "drawn") == []
    kept = set(ledger_of(finished, open_run(str(finished))[1]).filter(outcome="kept")["row"]) - ROWS
    assert set(ledger_of(out, result).filter(outcome="kept")["row"]) == kept
    assert delivered_urls(out) == {f"u/{row}" for row in kept}


@pytest.mark.parametrize("words", [3, 9, 20])
def test_rows_are_taken_out_of_what_there_is_when_the_run_had_died(tmp_path, words):
    out = tmp_path / "out"
    with pytest.raises(Killed):
        run(out, listener=KillAfter(words))
    for phase in (out / "pool").iterdir():
        Store(str(phase)).write_bytes("data/00000000-ffffffffffff.parquet", b"what a crashed attempt left")
        (phase / "data" / ".writing-1-x.parquet").write_bytes(b"half of it")
    Store(str(out)).write_bytes("workspace/partitions-0/00000.parquet", b"hashes, left by a decision that was killed")
    with pytest.raises(RecipeError, match="a run is going on here, by its record"):
        note(out, takedown(urls=URLS), idle=False)
    remove(out, urls=URLS)
    assert what_is_left(out, keys_of(ROWS).values()) == []
    assert unnamed_files(out) == []
    assert list(out.glob("workspace/**/*.parquet")) == []
    ledger = ledger_of(out, run(out))
    assert set(ledger.filter(reason="removed")["row"]) == ROWS
    assert len(ledger) == 60


def test_deliveries_without_the_rows_stay_when_others_go(out):
    first, second = sorted((out / "shards").glob("commits-*"))
    kept = {
        path: set(pl.read_parquet(f"{out}/ledger/{path.name[8:]}/*.parquet").filter(outcome="kept")["row"])
        for path in (first, second)
    }
    (only,) = [path for path in kept if len(kept[path]) == max(map(len, kept.values()))]
    row = min(kept[only] - set.intersection(*kept.values()))
    _, (erased,) = remove(out, urls=[f"u/{row}"])
    assert erased.shards == (f"shards/{only.name[8:]}",)
    assert len(list((out / "shards").glob("commits-*"))) == 1


def test_a_removal_without_any_row_is_noted_when_nothing_matches(out):
    result, (erased,) = remove(out, urls=["http://nowhere.org/x.jpg"])
    assert result.removal.keys == ()
    assert erased == Erased(number=1, time=erased.time)
    before = open_run(str(out))[1]
    assert run(out).ledger == before.ledger
