"""A source that has grown, or changed, is measured where it is new, and comes to what a run from scratch comes to."""

import random
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toy_runs import execute, files_of, ledger_of, logged
from toy_steps import CATALOGUE, MeasureText

from curation.catalogue import Catalogue
from curation.contracts.stage import StageSpec
from curation.engine.whatif import what_if
from curation.errors import CorruptionError, RecipeError
from curation.ledger.open_run import open_run
from curation.recipe.load import parse_recipe
from stages.sources.url_table import UrlTable

RECIPE = """
source: {kind: url_table, path: PATH, carry: [page]}
steps:
  - {kind: measure_text, min_words: 1, decides: true, log: LOG/measured}
  - {kind: threshold, min: 2}
  - {kind: draw, log: LOG/drawn}
  - {kind: develop}
  - {kind: threshold, name: wide, column: width, min: 9}
  - {kind: write_lines, unit_rows: 10}
run: {part_rows: 8}
"""


class MeasurePage(MeasureText):
    """`measure_text` that reads a carried column, too."""

    @property
    def spec(self):
        return StageSpec("measure_text", 1, ("caption", "page"), ("text_words",), rowwise=True, decides=True)


TABLES = Catalogue(
    sources={"url_table": UrlTable}, stages=CATALOGUE.stages, exchanges=CATALOGUE.exchanges, sinks=CATALOGUE.sinks
)
PAGES = Catalogue(TABLES.sources, {**TABLES.stages, "measure_text": MeasurePage}, TABLES.exchanges, TABLES.sinks)


@pytest.fixture
def lists(tmp_path):
    folder = tmp_path / "lists"
    folder.mkdir()
    return folder


def row(number, page=0):
    return (f"u/{number}", " ".join(["word"] * (number % 7)), page)


def write(path, rows):
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    schema = pa.schema({"url": pa.string(), "caption": pa.string(), "page": pa.int64()})
    pq.write_table(pa.table([list(column) for column in columns], schema=schema), path)


def run(tmp_path, lists, *overrides, name="out", catalogue=TABLES):
    """Runs the recipe; the rows that each of the two phases worked on."""
    logs = tmp_path / f"logs-{name}"
    logs.mkdir(exist_ok=True)
    for log in logs.iterdir():
        log.unlink()
    text = RECIPE.replace("PATH", str(lists)).replace("LOG", str(logs))
    result = execute(tmp_path / name, *overrides, text=text, catalogue=catalogue)
    return result, logged(logs / "measured"), logged(logs / "drawn")


def alive(numbers):
    """Places of the rows that the second phase works on."""
    return [place for place, number in enumerate(numbers) if number % 7 >= 2]


def assert_as_from_scratch(tmp_path, lists, result, *overrides, fresh="fresh", catalogue=TABLES):
    expected, *_ = run(tmp_path, lists, *overrides, name=fresh, catalogue=catalogue)
    assert result.ledger == expected.ledger
    assert files_of(tmp_path / "out", result) == files_of(tmp_path / fresh, expected)


def test_only_new_rows_are_measured_when_a_file_is_added_at_the_end(tmp_path, lists):
    write(lists / "a.parquet", [row(number) for number in range(20)])
    run(tmp_path, lists)
    write(lists / "b.parquet", [row(number) for number in range(20, 37)])
    result, measured, drawn = run(tmp_path, lists)
    assert measured == list(range(20, 37))
    assert drawn == [place for place in alive(range(37)) if place >= 20]
    assert_as_from_scratch(tmp_path, lists, result)


def test_only_new_rows_are_measured_when_a_file_itself_has_grown(tmp_path, lists):
    write(lists / "a.parquet", [row(number) for number in range(20)])
    run(tmp_path, lists)
    write(lists / "a.parquet", [row(number) for number in range(37)])
    result, measured, _ = run(tmp_path, lists)
    assert measured == list(range(20, 37))
    assert_as_from_scratch(tmp_path, lists, result)


def test_what_lies_behind_is_measured_again_when_a_file_is_added_in_the_middle(tmp_path, lists):
    write(lists / "a.parquet", [row(number) for number in range(20)])
    write(lists / "c.parquet", [row(number) for number in range(20, 30)])
    run(tmp_path, lists)
    write(lists / "b.parquet", [row(number) for number in range(50, 53)])
    result, measured, _ = run(tmp_path, lists)
    assert measured == list(range(20, 33))
    assert_as_from_scratch(tmp_path, lists, result)


def test_a_changed_row_is_measured_again_when_it_lies_among_old_ones(tmp_path, lists):
    numbers = list(range(20))
    write(lists / "a.parquet", [row(number) for number in numbers])
    run(tmp_path, lists)
    numbers[9] = 300
    write(lists / "a.parquet", [row(number) for number in numbers])
    result, measured, drawn = run(tmp_path, lists)
    assert (measured, drawn) == ([9], [9])
    assert ledger_of(tmp_path / "out", result)["url"][9] == "u/300"
    assert_as_from_scratch(tmp_path, lists, result)


def test_a_changed_row_is_measured_when_it_lives_on_only_after_other_versions(tmp_path, lists):
    numbers = list(range(8))
    write(lists / "a.parquet", [row(number) for number in numbers])
    run(tmp_path, lists)
    # One word: dead before it is drawn, in two versions that take over the file with what was drawn in its place.
    numbers[4] = 71
    write(lists / "a.parquet", [row(number) for number in numbers])
    assert run(tmp_path, lists)[1:] == ([4], [])
    assert run(tmp_path, lists, "threshold.min=3")[1:] == ([], [])
    result, _, drawn = run(tmp_path, lists, "threshold.min=1")
    assert drawn == [1, 4]
    assert_as_from_scratch(tmp_path, lists, result, "threshold.min=1")


def test_earlier_versions_stand_and_are_found_again_when_the_source_shrinks_to_what_it_was(tmp_path, lists):
    write(lists / "a.parquet", [row(number) for number in range(20)])
    before, *_ = run(tmp_path, lists)
    written = files_of(tmp_path / "out", before)
    write(lists / "b.parquet", [row(number) for number in range(20, 37)])
    run(tmp_path, lists)
    (lists / "b.parquet").unlink()
    again, measured, drawn = run(tmp_path, lists)
    assert (again.ledger, measured, drawn) == (before.ledger, [], [])
    assert files_of(tmp_path / "out", again) == written


def test_rows_are_measured_again_when_a_phase_reads_a_column_that_no_key_covers(tmp_path, lists):
    write(lists / "a.parquet", [row(number) for number in range(20)])
    run(tmp_path, lists, catalogue=PAGES)
    write(lists / "a.parquet", [row(number, page=int(number == 3)) for number in range(20)])
    result, measured, drawn = run(tmp_path, lists, catalogue=PAGES)
    assert measured == list(range(20))
    assert drawn == []
    assert_as_from_scratch(tmp_path, lists, result, catalogue=PAGES)
    write(lists / "b.parquet", [row(number, page=5) for number in range(20, 25)])
    _, measured, _ = run(tmp_path, lists, catalogue=PAGES)
    assert measured == list(range(20, 25))


def test_whatif_is_refused_when_the_source_has_grown_since_the_run(tmp_path, lists):
    write(lists / "a.parquet", [row(number) for number in range(20)])
    run(tmp_path, lists)
    write(lists / "b.parquet", [row(21)])
    text = RECIPE.replace("PATH", str(lists)).replace("LOG", str(tmp_path))
    now, then = (parse_recipe(text, "r.yaml", TABLES, given) for given in ((), ("threshold.min=4",)))
    store, record = open_run(str(tmp_path / "out"))
    with pytest.raises(RecipeError, match=r"it has changed since the run: `curation run` first"):
        what_if(store, record, now, then)


class Changing:
    """Files of rows, changed at random as lists are in practice."""

    def __init__(self, lists, seed):
        self.draw = random.Random(seed)
        self.lists = lists
        self.files = {"f10": [*range(12)]}

    def change(self):
        kind = self.draw.choice(["add", "grow", "edit", "insert", "drop", "nothing"])
        name = self.draw.choice(sorted(self.files))
        rows = self.files[name]
        new = [self.draw.randrange(60) for _ in range(self.draw.randrange(1, 12))]
        if kind == "add":
            self.files[f"f{10 + self.draw.randrange(30)}"] = new
        elif kind == "grow":
            rows += new
        elif kind == "edit" and rows:
            rows[self.draw.randrange(len(rows))] = new[0]
        elif kind == "insert":
            rows.insert(self.draw.randrange(len(rows) + 1), new[0])
        elif kind == "drop":
            del rows[len(rows) // 2 :]
        for path in self.lists.iterdir():
            path.unlink()
        for known, numbers in self.files.items():
            write(self.lists / f"{known}.parquet", [row(number) for number in numbers])

    @property
    def numbers(self):
        return [number for name in sorted(self.files) for number in self.files[name]]


@pytest.mark.parametrize("seed", range(2))
def test_every_version_is_as_from_scratch_when_source_and_settings_change_at_random(tmp_path, lists, seed):
    changing = Changing(lists, seed)
    seen = set()
    for step in range(7):
        changing.change()
        overrides = (f"threshold.min={changing.draw.choice([2, 2, 4])}",)
        result, measured, _ = run(tmp_path, lists, *overrides)
        there = {*enumerate(changing.numbers)}
        assert measured == sorted(place for place, number in there - seen)
        seen |= there
        assert_as_from_scratch(tmp_path, lists, result, *overrides, fresh=f"fresh{step}")


def test_no_row_gets_the_values_of_another_when_a_file_is_written_anew_while_it_is_read(tmp_path, lists):
    before = [row(number) for number in range(20)]
    write(lists / "a.parquet", before)

    class Meanwhile:
        def item_started(self, item):
            if item.name == "draw-develop":
                write(lists / "a.parquet", before[::-1])

        def unit_done(self, report):
            pass

        def item_ended(self, seconds):
            pass

    def ran(listener=None):
        text = RECIPE.replace("PATH", str(lists)).replace("LOG", str(tmp_path))
        return execute(tmp_path / "out", text=text, catalogue=TABLES, listener=listener)

    def check(result):
        ledger = ledger_of(tmp_path / "out", result)
        assert ledger["text_words"].to_list() == [len(caption.split()) for caption in ledger["caption"]]

    with pytest.raises(CorruptionError, match="changed while it was read"):
        ran(Meanwhile())
    check(ran())
    # What was measured of the other state under the name of this one is found, and goes.
    write(lists / "a.parquet", before)
    with pytest.raises(CorruptionError, match="changed while it was read") as caught:
        ran()
    shutil.rmtree(str(caught.value).partition(":")[0])
    check(ran())
