"""Every way in which a stage can break its contract has its own message."""

import pyarrow as pa
import pytest

from curation.contracts.config import StepConfig
from curation.contracts.marks import UNCHANGED, failed, rejected, unchanged, with_marks
from curation.contracts.stage import Stage, StageSpec, earlier_name
from curation.engine.stage_contract import check_result
from curation.errors import StageError
from schemas.columns import COLUMNS
from schemas.outcomes import FailureReason

GIVEN = pa.table({"row": [1, 2, 3], "key": ["a", "b", "c"], "caption": ["x", "y", "z"]})


class Counting(Stage):
    class Config(StepConfig):
        kind: str = "counting"

    @property
    def spec(self):
        return StageSpec("counting", 1, ("caption",), ("text_words",))

    def process(self, table):
        raise NotImplementedError


def with_words(table, kind=None):
    values = pa.array([1] * table.num_rows, kind or pa.int32())
    return table.append_column("text_words", values)


def with_columns(**columns):
    table = with_words(GIVEN)
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values, pa.string()))
    return table


def said_of(result):
    with pytest.raises(StageError) as caught:
        check_result(Counting(Counting.Config(name="count")), GIVEN, result, 4)
    return str(caught.value).removeprefix("part 4, step count: ")


@pytest.mark.parametrize(
    "result",
    [
        with_words(GIVEN),
        with_words(GIVEN.select(["row"])),
        with_marks(with_words(GIVEN), [rejected("min_words", "1 < 2"), None, failed(FailureReason.CORRUPT_IMAGE)]),
        with_marks(with_words(GIVEN), [None, None, None]),
        pa.concat_tables([with_words(GIVEN).slice(0, 1), with_words(GIVEN).slice(1)]),
    ],
)
def test_a_result_is_taken_when_it_keeps_the_contract(result):
    assert check_result(Counting(Counting.Config()), GIVEN, result, 4) is None


@pytest.mark.parametrize(
    ("result", "complaint"),
    [
        (None, "returned a NoneType, not a table"),
        (with_words(GIVEN).to_pylist(), "returned a list, not a table"),
        (with_words(GIVEN).drop_columns(["row"]), "returned a table without the column row"),
        (with_words(GIVEN).slice(0, 2), "did not return the rows it was given, in their order"),
        (with_words(GIVEN).take([1, 0, 2]), "did not return the rows it was given, in their order"),
        (with_words(GIVEN).take([0, 0, 1, 2]), "did not return the rows it was given, in their order"),
        (GIVEN, "declares the column text_words but did not add it"),
        (with_words(GIVEN, pa.int64()), "the column text_words is int64, not int32"),
        (with_words(with_words(GIVEN)), "returned columns twice: text_words"),
        (with_columns(text="xyz", zzz="xyz"), "added columns that it does not declare: text, zzz"),
        (with_columns(outcome=["failed", None, None]), "gave outcome of the marks alone; use `with_marks`"),
        (
            with_columns(outcome=["ended", None, None], reason=["x", None, None], detail=[None] * 3),
            "marked rows must be rejected or failed, each with a reason",
        ),
        (
            with_columns(outcome=["kept", None, None], reason=["x", None, None], detail=[None] * 3),
            "marked rows must be rejected or failed, each with a reason",
        ),
        (
            with_columns(outcome=["rejected", None, None], reason=[None] * 3, detail=[None] * 3),
            "marked rows must be rejected or failed, each with a reason",
        ),
        (
            with_columns(outcome=[None] * 3, reason=[None, "x", None], detail=[None] * 3),
            "marked rows must be rejected or failed, each with a reason",
        ),
        (
            with_columns(outcome=["failed", None, None], reason=["bad luck", None, None], detail=[None] * 3),
            "failed rows for bad luck, which is no FailureReason",
        ),
    ],
)
def test_step_part_and_fault_are_named_when_the_contract_is_broken(result, complaint):
    assert said_of(result) == complaint


def test_the_type_of_every_registered_column_is_held_when_added():
    wrong = GIVEN.append_column("text_words", pa.nulls(3, pa.null()))
    assert said_of(wrong) == f"the column text_words is null, not {COLUMNS['text_words'].type}"


class Returning(Counting):
    @property
    def spec(self):
        return StageSpec("counting", 1, ("caption",), ("text_words",), revisits=("text_words",))


GIVEN_BACK = GIVEN.append_column(earlier_name("text_words"), pa.array([4, None, 6], pa.int32()))


def test_a_row_may_be_unchanged_when_the_stage_was_given_something_of_it():
    result = with_marks(with_words(GIVEN_BACK), [unchanged(), None, unchanged()])
    assert check_result(Returning(Counting.Config()), GIVEN_BACK, result, 4) is None


@pytest.mark.parametrize("given", [GIVEN, GIVEN_BACK])
def test_a_row_cannot_be_unchanged_when_the_stage_knew_nothing_of_it(given):
    result = with_marks(with_words(given), [None, unchanged(), None])
    with pytest.raises(StageError, match="marked row 2 unchanged without having been given anything earlier of it"):
        check_result(Returning(Counting.Config(name="count")), given, result, 4)


def test_a_row_has_no_reason_when_it_is_unchanged():
    result = with_words(GIVEN_BACK)
    for name, values in zip(("outcome", "reason", "detail"), ([UNCHANGED], ["304"], [None]), strict=True):
        result = result.append_column(name, pa.array([*values, None, None], pa.string()))
    with pytest.raises(StageError, match="marked rows must be rejected or failed, each with a reason"):
        check_result(Returning(Counting.Config()), GIVEN_BACK, result, 4)
