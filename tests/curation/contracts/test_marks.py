"""Marks: how a stage ends a row."""

import pyarrow as pa
import pytest

from curation.contracts.marks import failed, rejected, unchanged, with_marks
from schemas.outcomes import FailureReason


def test_the_marks_stand_beside_their_rows_when_added():
    table = pa.table({"row": [1, 2, 3, 4]})
    marked = with_marks(table, [rejected("min_words", "2 < 3"), None, failed(FailureReason.HTTP_GONE), unchanged()])
    assert marked.select(["outcome", "reason", "detail"]).to_pylist() == [
        {"outcome": "rejected", "reason": "min_words", "detail": "2 < 3"},
        {"outcome": None, "reason": None, "detail": None},
        {"outcome": "failed", "reason": "http_gone", "detail": None},
        {"outcome": "unchanged", "reason": None, "detail": None},
    ]
    assert table.column_names == ["row"]


def test_the_columns_are_text_when_no_row_ends():
    marked = with_marks(pa.table({"row": pa.array([], pa.int64())}), [])
    assert [field.type for field in marked.schema][1:] == [pa.string()] * 3


def test_it_is_an_error_when_a_row_has_no_mark_of_its_own():
    with pytest.raises(pa.ArrowInvalid, match="length"):
        with_marks(pa.table({"row": [1, 2]}), [None])


def test_detail_is_stored_when_a_server_put_bytes_into_it_that_are_no_text():
    marks = [failed(FailureReason.BAD_CONTENT_ENCODING, "ä\udcff"), rejected("min_words", "é")]
    assert with_marks(pa.table({"row": [1, 2]}), marks)["detail"].to_pylist() == ["ä?", "é"]
