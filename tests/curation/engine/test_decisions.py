"""Exchanges and sinks: a verdict for each living row, and for each of them one."""

from contextlib import nullcontext
from dataclasses import replace

import polars as pl
import pyarrow.parquet as pq
import pytest
from toy_lineage import ByHand
from toy_steps import CATALOGUE, Threshold, WriteLines

from curation.engine import live_rows
from curation.engine.beside_vectors import beside_vectors
from curation.engine.decisions import assign, decide, read_decision
from curation.engine.live_rows import live_frame
from curation.errors import CorruptionError, CurationError, RecipeError
from curation.plan.fingerprints import Fingerprints, Layout
from curation.storage.column_groups import read_columns
from curation.storage.layout import DecisionLayout

STEPS = "{kind: measure_text, min_words: 1}, {kind: threshold, min: 3}, {kind: draw}, {kind: develop}"
LAYOUT = DecisionLayout("threshold", "d1")


def measured(tmp_path, catalogue=CATALOGUE):
    run = ByHand(tmp_path, STEPS, catalogue=catalogue)
    run.measure(run.plan.items[0])
    return run


def judged_by(function):
    """An exchange that decides by a function of the frame."""

    class Judge(Threshold):
        def decide(self, frame):
            return function(frame)

    return Judge(Threshold.Config())


def placed_by(function):
    class Sink(WriteLines):
        def assign(self, frame):
            return function(super().assign(frame))

    return Sink(WriteLines.Config())


def verdicts_of(run, commit, columns=("key", "reason", "detail")):
    return read_columns(run.store.child(LAYOUT.folder), commit.file, columns)


def kept(frame, **changes):
    columns = {"reason": pl.lit(None, pl.String), "detail": pl.lit(None, pl.String), **changes}
    return frame.select("row", **columns)


@pytest.mark.parametrize("columns", [["text_words"], ["page"]], ids=["known", "carried"])
def test_the_file_is_named_when_live_rows_come_from_one_with_another_bit_in_its_footer(tmp_path, columns):
    run = ByHand(tmp_path, "{kind: measure_text}, {kind: threshold, column: page}")
    for item in run.plan.items[:2]:
        run.measure(item)
    assert len(live_frame(run.lineage, columns).collect())
    file = next(path for path in tmp_path.glob("pool/*/data/00000000-*") if columns[0] in pq.read_schema(path).names)
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    with pytest.raises(CorruptionError, match=rf"{file.name}: .*its footer is not what was written"):
        live_frame(run.lineage, columns).collect()


def test_each_living_row_has_its_verdict_when_an_exchange_decided(tmp_path):
    run = measured(tmp_path)
    commit = decide(run.lineage, run.plan.items[1].exchange, LAYOUT)
    table = verdicts_of(run, commit)
    living = [row for row in range(40) if row % 7]
    assert table["row"].to_pylist() == living
    assert table["reason"].to_pylist() == ["threshold.min" if row % 7 < 3 else None for row in living]
    assert (commit.rows_in, commit.rejected) == (34, {"threshold.min": 12})
    source = run.lineage.source_rows(0)["key"].to_pylist()
    assert table["key"].to_pylist()[:6] == source[1:7]
    assert read_decision(run.lineage, LAYOUT) == commit


def test_the_living_come_with_values_of_several_items_when_an_exchange_asks(tmp_path):
    run = ByHand(tmp_path, STEPS)
    run.all()
    frame = live_frame(run.lineage, ["width", "text_words"]).sort("row").collect()
    assert frame.columns == ["row", "key", "width", "text_words"]
    living = [row for row in range(40) if row % 7 >= 3 and row % 5]
    assert frame["row"].to_list() == living
    assert frame["width"].to_list() == [2 * len(f"u/{row}") for row in living]
    assert frame["text_words"].to_list() == [row % 7 for row in living]


def test_nobody_lives_when_every_part_was_set_aside(tmp_path):
    run = ByHand(tmp_path, "{kind: measure_text}, {kind: threshold, column: page}")
    run.measure(run.plan.items[0], parts=[])
    run.measure(run.plan.items[1], parts=[])
    assert live_frame(run.lineage, ["text_words", "page"]).collect().shape == (0, 4)
    assert decide(run.lineage, run.plan.items[2].exchange, LAYOUT).rows_in == 0


@pytest.mark.parametrize("rows_at_once", [1, 20, 1000])
def test_what_is_written_is_the_same_when_it_is_joined_and_checked_piece_by_piece(tmp_path, monkeypatch, rows_at_once):
    whole = ByHand(tmp_path / "whole", STEPS)
    whole.all()
    monkeypatch.setattr(live_rows, "ROWS_AT_ONCE", rows_at_once)
    pieces = ByHand(tmp_path / "pieces", STEPS)
    pieces.all()
    records = [run.lineage.items[1].commit for run in (whole, pieces)]
    assert records[0].file.sha256 == records[1].file.sha256
    assert records[0].rejected == records[1].rejected
    frames = [live_frame(run.lineage, ["width", "text_words"]) for run in (whole, pieces)]
    assert frames[0].collect().equals(frames[1].sort("row").collect())
    narrow = [frame.filter(pl.col("text_words") > 4).select("width").head(3).collect() for frame in frames]
    assert narrow[0].height == 3
    assert narrow[0].equals(narrow[1])
    first = [frame.head(4).filter(pl.col("text_words") > 4).select("row").collect() for frame in frames]
    assert first[0]["row"].to_list() == first[1]["row"].to_list() == [6]


@pytest.mark.parametrize("rows_at_once", [16, 1000])
@pytest.mark.parametrize(
    ("function", "counts"),
    [
        (lambda frame: kept(frame.filter(pl.col("row") != 8)), "33 verdicts on 33 rows"),
        (lambda frame: pl.concat([kept(frame), kept(frame.filter(pl.col("row") == 8))]), "35 verdicts on 34 rows"),
        (lambda frame: kept(frame.with_columns(row=pl.col("row") * 0 + 8)), "34 verdicts on 1 rows"),
        (lambda frame: kept(frame.with_columns(row=pl.col("row") + 1)), "34 verdicts on 34 rows"),
        (
            lambda frame: kept(frame.with_columns(row=pl.when(pl.col("row") != 8).then(pl.col("row")))),
            "34 verdicts on 34 rows",
        ),
        (lambda frame: kept(frame.head(0)), "0 verdicts on 0 rows"),
        (
            lambda frame: pl.concat([kept(frame), kept(frame.head(1).with_columns(row=pl.lit(99, pl.Int64)))]),
            "35 verdicts on 35 rows",
        ),
    ],
    ids=["drops", "doubles", "all one", "others", "null", "none", "one more"],
)
def test_nothing_is_committed_when_an_exchange_drops_or_doubles_rows(
    tmp_path, monkeypatch, function, counts, rows_at_once
):
    monkeypatch.setattr(live_rows, "ROWS_AT_ONCE", rows_at_once)
    run = measured(tmp_path)
    with pytest.raises(CurationError, match=f"^step threshold: gave {counts}, but 34 rows are alive$"):
        decide(run.lineage, judged_by(function), LAYOUT)
    assert run.store.list(LAYOUT.folder) == []


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda frame: frame.select("row", "key"), "step threshold: its verdicts lack detail, reason"),
        (lambda frame: frame.select("missing"), "step threshold: .*missing"),
        (lambda frame: kept(frame, detail=pl.col("key").str.to_integer()), "step threshold: .*"),
        (lambda frame: kept(frame, detail=pl.struct("row")), "step threshold: its verdicts are not of the registered"),
    ],
)
def test_the_step_is_named_when_its_verdicts_cannot_be_made(tmp_path, function, message):
    run = measured(tmp_path)
    with pytest.raises(CurationError, match=message) as caught:
        decide(run.lineage, judged_by(function), LAYOUT)
    assert "\n" not in str(caught.value)


def failing(error):
    def raises(_):
        raise error

    return raises


@pytest.mark.parametrize("error", [ValueError, CurationError, RecipeError])
def test_the_step_is_named_when_an_exchange_fails(tmp_path, error):
    run = measured(tmp_path)
    with pytest.raises(CurationError, match=r"^step threshold: no such hash$") as caught:
        decide(run.lineage, judged_by(failing(error("no such hash"))), LAYOUT)
    assert isinstance(caught.value, RecipeError) == (error is RecipeError)


@pytest.mark.parametrize(("after", "commits"), [("lake", 0), ("boat", 2)])
def test_nothing_is_committed_when_a_file_that_was_read_is_another_by_then(tmp_path, after, commits):
    listed = tmp_path / "list.txt"
    listed.write_text("boat")

    class Reads(Threshold):
        def content_digest(self):
            return listed.read_text()

        def decide(self, frame):
            listed.write_text(after)
            return super().decide(frame)

    run = measured(tmp_path / "run")
    phase, decision = run.plan.items[0], run.plan.items[1]
    decision = replace(decision, exchange=Reads(decision.exchange.config))
    prints = Fingerprints(run.plan, Layout("parts", "rows"))
    prints.end_phase(prints.phase(phase), ())
    layout = DecisionLayout("threshold", prints.decision(decision))
    refused = pytest.raises(CurationError, match=r"^step threshold: a file that it reads was changed")
    with nullcontext() if commits else refused:
        decide(run.lineage, decision.exchange, layout, still_holds=lambda: prints.still_holds(decision))
    assert len(run.store.list(layout.folder)) == commits


def test_the_winner_counts_when_two_decide_at_once(tmp_path):
    run = measured(tmp_path)
    first = decide(run.lineage, run.plan.items[1].exchange, LAYOUT)
    second = decide(run.lineage, judged_by(kept), LAYOUT)
    assert second == first
    assert run.store.list(LAYOUT.folder) == sorted(["commit.json", first.file.path])


def test_verdicts_do_not_hang_on_it_when_rows_come_in_another_order(tmp_path):
    run = measured(tmp_path)
    straight = decide(run.lineage, run.plan.items[1].exchange, LAYOUT)

    class Shuffled(Threshold):
        def decide(self, frame):
            return super().decide(frame.collect().sample(fraction=1, shuffle=True, seed=3).lazy())

    other = decide(run.lineage, Shuffled(run.plan.items[1].exchange.config), DecisionLayout("threshold", "d2"))
    assert other.file.sha256 == straight.file.sha256


def test_places_are_kept_twice_when_a_sink_assigns_them(tmp_path):
    run = measured(tmp_path)
    commit = assign(run.lineage, WriteLines(WriteLines.Config(unit_rows=10)), LAYOUT)
    assert commit.units == 4
    places = verdicts_of(run, commit, ("shard", "shard_position")).to_pylist()
    assert [place["row"] for place in places] == [row for row in range(40) if row % 7]
    by_unit = read_columns(run.store.child(LAYOUT.folder), commit.by_unit, ("shard", "shard_position")).to_pylist()
    assert [(place["shard"], place["shard_position"]) for place in by_unit] == [divmod(n, 10) for n in range(34)]


def test_there_is_no_unit_when_nobody_survived(tmp_path):
    run = ByHand(tmp_path, "{kind: measure_text, min_words: 9}")
    run.all()
    commit = assign(run.lineage, WriteLines(WriteLines.Config()), LAYOUT)
    assert (commit.units, commit.rows_in) == (0, 0)


@pytest.mark.parametrize(
    "function",
    [
        lambda places: places.with_columns(shard=pl.col("shard") * 2),
        lambda places: places.with_columns(shard=pl.col("shard") + 1),
        lambda places: places.with_columns(shard_position=pl.col("shard_position") + 1),
        lambda places: places.with_columns(shard_position=pl.col("shard_position") * 0),
        lambda places: places.with_columns(shard=pl.when(pl.col("row") != 8).then(pl.col("shard"))),
        lambda places: places.with_columns(reason=pl.when(pl.col("row") == 8).then(pl.lit("spare"))),
        lambda places: places.with_columns(shard=pl.lit(None, pl.Int32), shard_position=pl.lit(None, pl.Int32)),
    ],
    ids=["gap", "from 1", "places from 1", "same place", "no place", "place and reason", "no places"],
)
def test_nothing_is_committed_when_a_sink_gives_a_place_twice_or_none(tmp_path, function):
    run = measured(tmp_path)
    with pytest.raises(CurationError, match="step write_lines: its places are not dense from 0, or a row without a"):
        assign(run.lineage, placed_by(function), LAYOUT)
    assert run.store.list(LAYOUT.folder) == []


def test_a_row_may_have_a_reason_in_place_of_a_place_when_a_sink_leaves_it_out(tmp_path):
    run = measured(tmp_path)

    def without_last(places):
        last = pl.col("shard") == 3
        null = pl.lit(None, pl.Int32)
        return places.with_columns(
            reason=pl.when(last).then(pl.lit("spare")),
            shard=pl.when(last).then(null).otherwise(pl.col("shard")),
            shard_position=pl.when(last).then(null).otherwise(pl.col("shard_position")),
        )

    commit = assign(run.lineage, placed_by(without_last), LAYOUT)
    assert (commit.units, commit.rejected) == (3, {"write_lines.spare": 4})


def test_vectors_stream_beside_scalars_when_an_exchange_asks_for_both(tmp_path):
    rows = pl.LazyFrame({"row": [1, 3, 5], "key": ["a", "b", "c"], "figure": [0.1, None, 0.5]})
    path = tmp_path / "vectors.parquet"
    values = pl.Series([[float(row), 0.0] for row in range(7)], dtype=pl.List(pl.Float16))
    pl.DataFrame({"row": range(7), "v": values}).write_parquet(path)
    beside = beside_vectors(rows, pl.scan_parquet(path))
    found = {row["row"]: row for batch in beside.collect_batches(chunk_size=2) for row in batch.to_dicts()}
    assert found == {
        1: {"row": 1, "key": "a", "figure": 0.1, "v": [1.0, 0.0]},
        3: {"row": 3, "key": "b", "figure": None, "v": [3.0, 0.0]},
        5: {"row": 5, "key": "c", "figure": 0.5, "v": [5.0, 0.0]},
    }
    assert beside.select("row", "v").collect()["row"].to_list() == [1, 3, 5]
    assert beside_vectors(rows.head(0), pl.scan_parquet(path)).collect().shape == (0, 4)
