"""Measuring a part: nothing twice, nothing lost, whoever else is at work."""

import numpy as np
import pyarrow as pa
import pytest
from toy_lineage import ByHand
from toy_runs import logged

from curation.contracts.resources import Resources
from curation.engine.lineage import MeasuredItem
from curation.engine.phase_operators import phase_operators
from curation.errors import TransientError
from curation.storage.column_groups import read_columns

STEPS = (
    "{kind: measure_text, min_words: 3, decides: true, log: LOG/measured}, "
    "{kind: draw, log: LOG/drawn}, {kind: develop}"
)


def by_hand(folder, *, gpu=False):
    steps = STEPS.replace("{kind: develop}", "{kind: develop_on_gpu}") if gpu else STEPS
    return ByHand(folder / "run", steps.replace("LOG", str(folder)))


def committed(run, work, part):
    """The commit of a part, and the rows of each of its files."""
    commit = run.lineage.part_commit(MeasuredItem(work.layout, work.columns), part)
    return commit, [read_columns(work.store, file, ["row"])["row"].to_pylist() for file in commit.files]


def living(rows, words=3):
    return [row for row in rows if row % 7 >= words]


def test_each_live_row_is_written_once_when_a_part_is_measured(tmp_path):
    run = by_hand(tmp_path)
    first, second = run.plan.items
    run.measure(first)
    work = run.measure(second)
    commit, files = committed(run, work, 1)
    assert files == [living(range(16, 32))]
    assert (commit.rows_in, commit.rows_measured) == (len(files[0]), len(files[0]))
    report = run.reports[-2]
    assert (report.unit, report.rows_in, report.failed) == (1, 9, {"http_not_found": 2})
    assert report.kept == 7
    assert set(report.seconds) == {"draw", "develop"}


def test_every_column_is_in_the_file_when_no_row_came_far_enough(tmp_path):
    run = ByHand(tmp_path, "{kind: measure_text, min_words: 9}, {kind: draw}, {kind: develop}")
    work = run.measure(run.plan.items[0])
    commit, _ = committed(run, work, 0)
    table = read_columns(work.store, commit.files[0], work.columns)
    assert table.column_names == ["row", *work.columns]
    assert table["image"].null_count == table.num_rows == 16
    assert "body" not in table.column_names


def test_measured_rows_are_taken_over_when_another_scope_has_them(tmp_path):
    run = by_hand(tmp_path)
    run.measure(run.plan.items[0])
    before = run.lineage
    run.measure(run.plan.items[1], "s0", parts=[1])
    drawn = logged(tmp_path / "drawn")
    run.lineage = before
    work = run.measure(run.plan.items[1], "s1", siblings=("s0",), parts=[1])
    commit, files = committed(run, work, 1)
    assert files == [living(range(16, 32))]
    assert (commit.rows_in, commit.rows_measured) == (9, 0)
    assert logged(tmp_path / "drawn") == drawn
    assert run.reports[-1].seconds == {}
    assert run.reports[-1].failed == {"http_not_found": 2}


def test_a_file_is_taken_whole_or_not_when_it_holds_rows_that_another_holds_too(tmp_path):
    run = by_hand(tmp_path)
    run.measure(run.plan.items[0])
    before = run.lineage
    for scope in ("s0", "s1"):
        run.lineage = before
        run.measure(run.plan.items[1], scope, parts=[0])
    run.lineage = before
    work = run.measure(run.plan.items[1], "s2", siblings=("s0", "s1"), parts=[0])
    _, files = committed(run, work, 0)
    assert files == [living(range(16))]


def _gpu_run(tmp_path):
    run = by_hand(tmp_path, gpu=True)
    run.measure(run.plan.items[0])
    return run


def test_stages_share_a_worker_when_they_need_the_same_device(tmp_path):
    operators = phase_operators(by_hand(tmp_path).work(by_hand(tmp_path).plan.items[1]))
    assert [operator.name for operator in operators] == ["draw-develop"]
    run = _gpu_run(tmp_path)
    on_two = phase_operators(run.work(run.plan.items[1]))
    assert [operator.name for operator in on_two] == ["draw", "develop_on_gpu"]
    assert [operator.resources for operator in on_two] == [Resources(), Resources(1, 0.5)]


@pytest.mark.parametrize(
    ("placement", "workers"),
    [
        ({"draw": "a"}, [("draw-develop", "a")]),
        ({"develop": "b"}, [("draw-develop", "b")]),
        ({"draw": "a", "develop": "a"}, [("draw-develop", "a")]),
        ({"draw": "a", "develop": "b"}, [("draw", "a"), ("develop", "b")]),
        ({"measure_text": "c"}, [("draw-develop", None)]),
    ],
)
def test_stages_share_a_worker_when_they_are_not_placed_differently(tmp_path, placement, workers):
    run = by_hand(tmp_path)
    operators = phase_operators(run.work(run.plan.items[1]), placement)

    assert [(operator.name, operator.resources.placement) for operator in operators] == workers


def test_the_result_is_the_same_when_the_phase_runs_on_two_workers(tmp_path):
    (tmp_path / "here").mkdir()
    here = by_hand(tmp_path / "here")
    here.all()
    run = _gpu_run(tmp_path)
    work = run.measure(run.plan.items[1])
    rows = run.lineage.live_rows(1)
    assert rows.tolist() == here.lineage.live_rows(1).tolist()
    columns = ["image", "width", "http_status"]
    assert run.lineage.columns_of(1, rows, columns).equals(here.lineage.columns_of(1, rows, columns))
    commit, _ = committed(run, work, 1)
    assert "body" not in read_columns(work.store, commit.files[0], work.columns).column_names
    assert set(run.reports[-1].seconds) == {"draw", "develop_on_gpu"}


def _meanwhile(run, part, scope):
    """Another run commits a part under another scope of the same measure."""
    before = run.lineage
    run.measure(run.plan.items[1], scope, parts=[part])
    run.lineage = before


def test_no_row_is_doubled_when_another_run_commits_it_between_two_workers(tmp_path):
    run = _gpu_run(tmp_path)
    work = run.work(run.plan.items[1], "s1", siblings=("s0",))
    first, last = phase_operators(work)
    handover = first.run(1, None)
    _meanwhile(run, 1, "s0")
    last.run(1, handover.table)
    _, files = committed(run, work, 1)
    assert files == [living(range(16, 32))]


def test_a_part_is_tried_again_when_rows_that_were_taken_over_cannot_be_any_more(tmp_path):
    run = _gpu_run(tmp_path)
    work = run.work(run.plan.items[1], "s1", siblings=("s0",))
    _, last = phase_operators(work)
    half = run.lineage.columns_of(1, run.lineage.live_rows(1)[:4], ["url"])
    body = pa.array([b"x"] * 4, pa.large_binary())
    with pytest.raises(TransientError, match="part 1 of draw-develop_on_gpu: another run worked on it too"):
        last.run(1, half.append_column("body", body).append_column("http_status", pa.array([200] * 4, pa.int16())))
    assert run.lineage.part_commit(MeasuredItem(work.layout, work.columns), 1) is None


def test_the_loser_leaves_nothing_and_tells_what_the_winner_has_when_two_commit_a_part(tmp_path):
    run = by_hand(tmp_path)
    run.measure(run.plan.items[0])
    work = run.work(run.plan.items[1])
    (operator,) = phase_operators(work)
    winner = operator.run(1, None).report
    before = sorted(work.store.list("data"))
    loser = operator.run(1, None).report
    assert sorted(work.store.list("data")) == before
    assert (loser.kept, loser.failed) == (winner.kept, winner.failed)


def test_an_empty_part_is_committed_when_no_row_lives(tmp_path):
    run = ByHand(tmp_path, "{kind: measure_text, min_words: 9, decides: true}, {kind: draw}, {kind: develop}")
    run.measure(run.plan.items[0])
    work = run.measure(run.plan.items[1])
    for part in range(run.lineage.parts):
        commit, files = committed(run, work, part)
        assert (commit.rows_in, files) == (0, [[]])
    assert np.concatenate([run.lineage.live_rows(part) for part in range(3)]).tolist() == []
