import io

import pyarrow.parquet as pq
import pytest

from stages.sources.inferred_types import from_metadata
from stages.sources.text_tables import CANDIDATES_KEY, TextLayout, column_names, write_as_parquet

LAYOUT = TextLayout(columns={"url": "URL", "caption": "TEXT", "n": "N"}, delimiter=",", encoding="utf-8")


def written(format, text, layout=LAYOUT):
    target = io.BytesIO()
    write_as_parquet(format, io.BytesIO(text.encode()), layout, target)
    return pq.ParquetFile(target)


def test_columns_get_their_new_names_and_stay_text():
    file = written("csv", "N,URL,other,TEXT\n1,u,x,t\n")
    assert file.read().to_pylist() == [{"url": "u", "caption": "t", "n": "1"}]
    candidates = from_metadata(file.metadata.metadata[CANDIDATES_KEY.encode()].decode())
    assert candidates == {"n": {"int64", "double"}}


@pytest.mark.parametrize("format", ["csv", "jsonl", "txt"])
def test_row_groups_stay_small_when_there_are_many_rows(format):
    lines = {"csv": "u,t,1", "jsonl": '{"URL":"u","TEXT":"t","N":1}', "txt": "u"}[format]
    layout = TextLayout({"url": "URL"}, ",", "utf-8") if format == "txt" else LAYOUT
    file = written(format, ("URL,TEXT,N\n" if format == "csv" else "") + (lines + "\n") * 40_000, layout)
    groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert sum(groups) == 40_000
    assert max(groups) <= 16_384


def test_a_long_field_is_read_when_it_is_longer_than_most_files():
    text = 'URL,TEXT,N\nu,"' + "long " * 1_000_000 + '",1\n'
    assert len(written("csv", text).read()["caption"][0].as_py()) == 5_000_000


@pytest.mark.parametrize(
    ("format", "text", "expected"),
    [
        ("csv", '\ufeffURL,"a\nb",N\nu,t,1\n', ["URL", "a\nb", "N"]),
        ("jsonl", '{"a":1}\n{"b":1,"a":2}\n', ["a", "b"]),
        ("txt", "http://a\n", []),
    ],
)
def test_column_names_are_found_without_reading_on(format, text, expected):
    assert column_names(format, io.BytesIO(text.encode()), LAYOUT) == expected
