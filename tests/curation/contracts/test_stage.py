"""A streaming stage, asked for a whole part at once."""

import pickle

import pyarrow as pa
from toy_steps import Draw

from curation.contracts.stage import earlier_name, earlier_values


def _urls(*rows):
    urls = [f"u/{row}" for row in rows]
    return pa.table({"row": pa.array(rows, pa.int64()), "key": [str(row) for row in rows], "url": urls})


def test_rows_are_in_the_order_of_the_input_when_they_were_done_in_another():
    result = Draw(Draw.Config()).process(_urls(1, 2, 5, 7))
    assert result["row"].to_pylist() == [1, 2, 5, 7]
    assert result["body"].to_pylist() == [b"u/1", b"u/2", None, b"u/7"]
    assert result["outcome"].to_pylist() == [None, None, "failed", None]


def test_the_added_columns_are_there_when_no_row_is_given():
    result = Draw(Draw.Config()).process(_urls())
    assert result.num_rows == 0
    assert result.schema.field("body").type == pa.large_binary()
    assert result.schema.field("http_status").type == pa.int16()


def test_a_stage_works_the_same_when_it_was_pickled():
    stage = pickle.loads(pickle.dumps(Draw(Draw.Config())))
    assert stage.process(_urls(1, 2)).equals(Draw(Draw.Config()).process(_urls(1, 2)))


def test_earlier_values_are_null_when_there_are_none_to_give():
    table = _urls(1, 2)
    assert earlier_values(table, "etag") == [None, None]
    given = table.append_column(earlier_name("etag"), pa.array(["a", None]))
    assert earlier_values(given, "etag") == ["a", None]
