"""Finding what was measured before, file by file, row by row."""

from dataclasses import replace

import numpy as np
import polars as pl
from toy_lineage import ByHand
from toy_runs import logged

from curation.engine.earlier_rows import earlier_rows
from curation.engine.lineage import MeasuredItem
from curation.engine.live_rows import live_frame

STEPS = (
    "{kind: measure_text, min_words: WORDS, decides: true}, {kind: draw, log: LOG}, {kind: develop}, {kind: threshold}"
)


def measured(folder, words, scope, siblings=()):
    """A run whose second phase works on the captions of so many words, and more."""
    run = ByHand(folder / "run", STEPS.replace("WORDS", str(words)).replace("LOG", str(folder / "drawn")))
    run.measure(run.plan.items[0], scope)
    before = run.lineage
    work = run.measure(run.plan.items[1], scope, siblings)
    return run, before, work


def living(words, rows=range(16, 32)):
    return [row for row in rows if row % 7 >= words]


def test_a_file_is_taken_but_for_the_rows_that_another_gives_when_they_overlap(tmp_path):
    measured(tmp_path, 4, "s0")
    measured(tmp_path, 3, "s1")
    (tmp_path / "drawn").unlink()
    run, _, work = measured(tmp_path, 2, "s2", siblings=("s0", "s1"))
    assert logged(tmp_path / "drawn") == [row for row in range(40) if row % 7 == 2]
    commit = run.lineage.part_commit(MeasuredItem(work.layout, work.columns), 1)
    assert [(file.rows, list(file.without)) for file in commit.files] == [
        (len(living(4)), []),
        (len(living(3)), living(4)),
        (3, []),
    ]
    rows = run.lineage.live_rows(1)
    table = run.lineage.columns_of(1, np.array(living(2)), ["image"])
    assert rows.tolist() == [row for row in living(2) if row % 5]
    assert table["row"].to_pylist() == living(2)
    frame = live_frame(run.lineage, ["width"]).collect().sort("row")
    assert frame["row"].to_list() == [row for row in living(2, range(40)) if row % 5]
    assert frame.select((pl.col("width") == 2 * (pl.col("row").cast(pl.String).str.len_chars() + 2)).all()).item()


def test_nothing_is_known_of_a_row_when_no_commit_counts_it(tmp_path):
    measured(tmp_path, 4, "s0")
    run, before, work = measured(tmp_path, 3, "s1")
    run.lineage = before
    work = run.work(run.plan.items[1], "s2", siblings=("s0",))
    rows = np.array(living(3))
    earlier = earlier_rows(work, 1, rows)
    assert rows[earlier.known].tolist() == rows[earlier.settled].tolist() == living(4)
    assert earlier.values(work, earlier.known, ["width"]).to_pylist() == [
        {"row": row, "width": None if row % 5 == 0 else 8} for row in living(4)
    ]
    some = np.isin(rows, living(4)[1:3])
    (file,) = earlier.count(some)
    assert sorted({*living(4)} - {*file.without}) == living(4)[1:3]


class ChangedSource:
    """A source that tells of every slice that it is another one than before, and how often it was read."""

    def __init__(self, source):
        self.config = source.config
        self.read_slices = []
        self._source = source

    def read(self, index, start, stop, workspace):
        self.read_slices.append((start, stop))
        return self._source.read(index, start, stop, workspace)

    def slice_fingerprint(self, index, start, stop):
        return "another " + self._source.slice_fingerprint(index, start, stop)


def test_the_source_is_read_once_when_several_commits_are_of_another_state_of_it(tmp_path):
    for scope, words in (("s0", 5), ("s1", 4), ("s2", 3)):
        run, before, _ = measured(tmp_path, words, scope)
    run.lineage = before
    work = run.work(run.plan.items[1], "s3", siblings=("s0", "s1", "s2"))
    source = ChangedSource(before.source)
    stale = replace(work, lineage=replace(before, source=source), told_by_keys=True)
    rows = np.array(living(2))
    earlier = earlier_rows(stale, 1, rows)
    assert rows[earlier.known].tolist() == living(3)
    assert len(earlier.files) > 1
    assert source.read_slices == [(16, 32)]
    assert not earlier_rows(replace(stale, told_by_keys=False), 1, rows).known.any()
