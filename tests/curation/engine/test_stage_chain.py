"""Stages on one worker: order, ends, columns that pass, and the row each streamed result belongs to."""

import threading
import time

import pyarrow as pa
import pytest
from toy_steps import Develop, Draw, MeasureText

from curation.contracts.config import StepConfig
from curation.contracts.marks import rejected, unchanged, with_marks
from curation.contracts.stage import Stage, StageSpec, StreamingStage
from curation.engine.stage_chain import END_COLUMNS, StageChain
from curation.errors import StageError
from schemas.columns import COLUMNS, schema_of


def rows_of(*rows):
    columns = [rows, [str(row) for row in rows], [f"u/{row}" for row in rows], ["w " * (row % 7) for row in rows]]
    return pa.table([pa.array(values) for values in columns], schema=schema_of("row", "key", "url", "caption"))


class Whole(Stage):
    """`text_chars` = the place among the rows it is given at once; not rowwise."""

    class Config(StepConfig):
        kind: str = "whole"

    @property
    def spec(self):
        return StageSpec("whole", 1, ("width",), ("text_chars",))

    def process(self, table):
        places = pa.array(range(table.num_rows), pa.int32())
        return table.append_column(COLUMNS["text_chars"].field, places)


class Peek(Stage):
    """Notes the columns and rows it is given."""

    class Config(StepConfig):
        kind: str = "peek"

    def __init__(self, config, requires=("url",)):
        super().__init__(config)
        self.requires = requires
        self.seen = []

    @property
    def spec(self):
        return StageSpec("peek", 1, self.requires, (), rowwise=True)

    def process(self, table):
        self.seen.append((table.column_names, table["row"].to_pylist()))
        return table


def test_rows_are_in_order_with_their_own_values_when_streamed_backwards():
    chain = StageChain([Draw(Draw.Config()), Develop(Develop.Config())])
    result = chain.run(rows_of(*range(40, 60)), 0)
    assert result["row"].to_pylist() == list(range(40, 60))
    for row in result.to_pylist():
        if row["row"] % 5 == 0:
            assert [row[name] for name in END_COLUMNS] == ["failed", "draw", "http_not_found", "404"]
            assert row["image"] is row["width"] is None
        else:
            assert row["image"] == f"u/{row['row']}".encode() * 2
            assert [row[name] for name in END_COLUMNS] == [None] * 4


def test_bodies_are_dropped_when_the_last_stage_that_reads_them_is_done():
    stages = [Draw(Draw.Config()), Develop(Develop.Config()), peek := Peek(Peek.Config())]
    assert "body" not in StageChain(stages).run(rows_of(1, 2), 0).column_names
    assert all(names == ["row", "key", "url"] for names, _ in peek.seen)
    kept = StageChain([Draw(Draw.Config())], needed_later=frozenset(["body"])).run(rows_of(1, 2, 5), 0)
    assert kept["body"].to_pylist() == [b"u/1", b"u/2", None]


def test_a_stage_sees_the_living_alone_when_others_have_ended():
    first = MeasureText(MeasureText.Config(min_words=3))
    StageChain([first, peek := Peek(Peek.Config(), ("text_words",))]).run(rows_of(*range(8)), 0)
    assert peek.seen == [(["row", "key", "text_words"], [3, 4, 5, 6])]


def test_a_stage_behind_sees_every_row_at_once_and_in_order_when_it_is_not_rowwise():
    chain = StageChain([Draw(Draw.Config()), Develop(Develop.Config()), Whole(Whole.Config())])
    result = chain.run(rows_of(*range(9)), 0)
    assert result["text_chars"].to_pylist() == [None, 0, 1, 2, 3, None, 4, 5, 6]


def test_two_streaming_stages_keep_their_rows_apart_when_one_follows_the_other():
    class Again(Draw):
        @property
        def spec(self):
            return StageSpec("again", 1, ("url", "http_status"), ("image",))

        def stream(self, table):
            for i in (*range(0, table.num_rows, 2), *range(1, table.num_rows, 2)):
                row = table.slice(i, 1)
                yield row.append_column(
                    COLUMNS["image"].field, pa.array([row["url"][0].as_py().encode()], pa.large_binary())
                )

    result = StageChain([Draw(Draw.Config()), Again(Draw.Config(name="again"))]).run(rows_of(*range(1, 12)), 0)
    for row in result.to_pylist():
        assert row["image"] == (None if row["row"] % 5 == 0 else f"u/{row['row']}".encode())


def test_a_stream_goes_on_while_the_stage_behind_it_works():
    second_came = threading.Event()

    class Hurried(Draw):
        def stream(self, table):
            for count, row in enumerate(super().stream(table)):
                if count == 1:
                    second_came.set()
                yield row

    class Patient(Peek):
        def process(self, table):
            assert second_came.wait(10), "the second row was not fetched before the first was done"
            return super().process(table)

    chain = StageChain([Hurried(Draw.Config()), Patient(Peek.Config())])
    assert chain.run(rows_of(1, 2, 3), 0).num_rows == 3


def test_the_part_fails_at_once_when_a_stage_behind_a_stream_fails():
    drawn = []

    class Counted(Draw):
        def stream(self, table):
            for row in super().stream(table):
                drawn.append(row)
                yield row

    class Broken(Peek):
        def process(self, table):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        StageChain([Counted(Draw.Config()), Broken(Peek.Config())]).run(rows_of(*range(1, 50)), 0)
    assert len(drawn) <= 3


def test_all_columns_are_there_when_no_row_lives():
    chain = StageChain([Draw(Draw.Config()), Develop(Develop.Config()), Whole(Whole.Config())])
    for table in (rows_of(), rows_of(5, 10)):
        result = chain.run(table, 0)
        assert result.num_rows == table.num_rows
    assert {"image", "width", "text_chars", *END_COLUMNS} <= set(chain.run(rows_of(), 0).column_names)


def test_rows_that_ended_before_pass_unchanged_when_a_second_chain_goes_on():
    first = StageChain([Draw(Draw.Config())], needed_later=frozenset(["body"])).run(rows_of(*range(1, 8)), 0)
    result = StageChain([Develop(Develop.Config())]).run(first, 0)
    assert result["row"].to_pylist() == list(range(1, 8))
    assert result["reason"].to_pylist() == [None, None, None, None, "http_not_found", None, None]
    assert result["width"].to_pylist() == [6, 6, 6, 6, None, 6, 6]


def test_the_input_is_untouched_when_a_chain_ran():
    table = rows_of(*range(9))
    StageChain([MeasureText(MeasureText.Config(min_words=2)), Draw(Draw.Config())]).run(table, 0)
    assert table.equals(rows_of(*range(9)))


def test_seconds_are_those_of_this_part_when_several_are_run():
    chain = StageChain([slow := MeasureText(MeasureText.Config(pause_s=0.05))])
    chain.run(rows_of(1), 0)
    assert chain.seconds["measure_text"] >= 0.05
    slow.config = MeasureText.Config()
    chain.run(rows_of(1), 1)
    assert chain.seconds["measure_text"] < 0.05


def test_seconds_add_up_to_what_the_run_took_when_steps_work_at_the_same_time():
    class SlowDraw(Draw):
        def stream(self, table):
            for piece in super().stream(table):
                time.sleep(0.02)
                yield piece

    class SlowDevelop(Develop):
        def process(self, table):
            time.sleep(0.04)
            return super().process(table)

    chain = StageChain([SlowDraw(Draw.Config()), SlowDevelop(Develop.Config())])
    begun = time.perf_counter()
    chain.run(rows_of(*range(20)), 0)
    took = time.perf_counter() - begun
    busy = {name: span.busy_s for name, span in chain.spans.items()}
    assert sum(busy.values()) > 1.15 * took, "they did work at the same time"
    assert 0.8 * took <= sum(chain.seconds.values()) <= took
    shares = {name: seconds / busy[name] for name, seconds in chain.seconds.items()}
    assert shares["draw"] == pytest.approx(shares["develop"])


def test_a_chain_without_stages_keeps_its_rows_when_run():
    result = StageChain([]).run(rows_of(3, 4), 0)
    assert result.drop_columns(list(END_COLUMNS)).equals(rows_of(3, 4))


def _streams(table, order):
    for row in order:
        place = table["row"].to_pylist().index(row)
        yield with_marks(table.slice(place, 1), [rejected("odd") if row % 2 else None])


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        ([1, 2], "never yielded 1 of its rows, such as row 3"),
        ([1, 2, 3, 2], "yielded a row twice"),
        ([3, 2, 1, 3], "yielded a row twice"),
        ([], "never yielded 3 of its rows, such as row 1"),
    ],
)
def test_step_and_part_are_named_when_a_stream_loses_or_doubles_rows(order, complaint):
    class Leaky(StreamingStage):
        class Config(StepConfig):
            kind: str = "leaky"

        @property
        def spec(self):
            return StageSpec("leaky", 1, (), ())

        def stream(self, table):
            return _streams(table, order)

    with pytest.raises(StageError) as caught:
        StageChain([Leaky(Leaky.Config())]).run(rows_of(1, 2, 3), 7)
    assert str(caught.value) == f"part 7, step leaky: {complaint}"
    assert (caught.value.stage, caught.value.part) == ("leaky", 7)


@pytest.mark.parametrize("row", [0, 2, 9])
def test_it_is_told_when_a_stream_yields_a_row_it_was_not_given(row):
    class Inventive(Draw):
        def stream(self, table):
            yield rows_of(row).select(["row", "key", "url"])

    with pytest.raises(StageError, match=f"yielded row {row}, which it was not given"):
        StageChain([Inventive(Draw.Config())]).run(rows_of(1, 3), 7)


def test_stages_are_set_up_and_closed_once_each_when_a_chain_is():
    class Noting(Peek):
        def setup(self):
            self.seen.append("setup")

        def close(self):
            self.seen.append("close")

    stages = [Noting(Peek.Config()), Noting(Peek.Config())]
    chain = StageChain(stages)
    chain.setup()
    chain.close()
    assert [stage.seen for stage in stages] == [["setup", "close"]] * 2


def test_a_stage_alone_is_given_its_earlier_values_and_unchanged_rows_go_no_further_when_asked_again():
    class Returning(Peek):
        @property
        def spec(self):
            return StageSpec("returning", 1, ("url",), ("text_words",), rowwise=True, revisits=("text_words",))

        def process(self, table):
            super().process(table)
            table = table.append_column(COLUMNS["text_words"].field, pa.array([7, None, 9], pa.int32()))
            return with_marks(table, [None, unchanged(), None])

    rows = rows_of(1, 2, 3).append_column("earlier:text_words", pa.array([None, 5, 6], pa.int32()))
    stages = [first := Returning(Peek.Config()), behind := Peek(Peek.Config())]
    result = StageChain(stages).run(rows, 0)
    assert [names for names, _ in first.seen] == [["row", "key", "url", "earlier:text_words"]]
    assert behind.seen == [(["row", "key", "url"], [1, 3])]
    assert result["outcome"].to_pylist() == [None, "unchanged", None]
