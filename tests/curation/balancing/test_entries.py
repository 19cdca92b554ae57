import json

import polars as pl
import pytest

from curation.balancing.entries import read_entries, search_patterns, searched_text
from curation.errors import RecipeError


def _written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_entries_are_the_same_when_a_list_comes_in_any_form(tmp_path):
    expected = ["new york", "red", "猫"]
    table = pl.DataFrame({"entry": expected, "note": ["a", "b", "c"]})
    table.write_parquet(tmp_path / "two.parquet")
    table.select(name="entry").write_parquet(tmp_path / "one.parquet")
    paths = [
        _written(tmp_path / "a.txt", "\ufeffnew york\r\n\nred \n猫\nred"),
        _written(tmp_path / "b.json", json.dumps([*expected, "red", " "])),
        _written(tmp_path / "c.JSON", json.dumps(dict.fromkeys(expected, "wikipedia"))),
        str(tmp_path / "two.parquet"),
        str(tmp_path / "one.parquet"),
    ]
    for path in paths:
        assert read_entries(path).to_list() == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "red", "a.csv: is no list of entries; give a .txt, .json or .parquet file"),
        ("a.txt", "\n \n", "a.txt: has no entries, so no row could stay"),
        ("a.txt", b"\xff\xfe", "a.txt:1: cannot be read: it is not UTF-8"),
        ("a.json", "[1]", "a.json: is neither a list of texts nor an object whose keys are the entries"),
        ("a.json", '"red"', "a.json: is neither a list of texts nor an object whose keys are the entries"),
        ("a.json", "[", "a.json: Expecting value"),
        ("a.parquet", "red", "a.parquet: "),
    ],
)
def test_a_file_is_refused_when_it_is_no_list_of_entries(tmp_path, name, content, message):
    with pytest.raises(RecipeError) as caught:
        read_entries(_written(tmp_path / name, content))
    assert message in str(caught.value)


def test_a_table_is_refused_when_it_does_not_tell_which_texts_are_the_entries(tmp_path):
    pl.DataFrame({"a": ["x"], "b": ["y"]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(RecipeError, match="has 2 columns of texts; call the one with the entries `entry`"):
        read_entries(str(tmp_path / "t.parquet"))


def test_sides_without_spaces_get_none_when_patterns_go_by_script():
    entries = pl.Series(["red", "猫", "T恤", "（x", "ไทย", "été", "x-", ","])
    assert search_patterns(entries, by_script=True).to_list() == [
        " red ",
        "猫",
        " T恤",
        "（x ",
        "ไทย",
        " été ",
        " x-",
        ",",
    ]
    assert search_patterns(entries, by_script=False).to_list() == [f" {entry} " for entry in entries]


def test_marks_stand_alone_when_a_text_is_searched():
    texts = pl.DataFrame({"text": ["red,car.", "a\tb\r\nc", "don't`$1", None]})
    assert texts.select(searched_text(pl.col("text"))).to_series().to_list() == [
        " red , car .  ",
        " a b  c ",
        " don't ` $1 ",
        None,
    ]
