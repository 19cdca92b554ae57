import polars as pl
import pytest

from curation.errors import RecipeError
from curation.text.blocklist import found_entries, read_entries


@pytest.fixture
def list_file(tmp_path):
    def write(text, name="words.txt"):
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return str(tmp_path / name)

    return write


def found(path, *texts):
    return found_entries(pl.Series(texts, dtype=pl.String), read_entries([path])).to_list()


def test_entries_are_found_as_whole_words_when_they_occur(list_file):
    path = list_file("# a comment\nass\nBad  Word\n\n猫\n")

    assert found(path, "A bad, WORD!", "badword class", "ass-ass", "黒猫の庭", None, "") == [
        ["bad word"],
        [],
        ["ass", "ass"],
        ["猫"],
        None,
        [],
    ]


def test_every_entry_counts_when_they_share_words(list_file):
    path = list_file("red hat\nhat trick\nhat\n")

    assert sorted(found(path, "a red hat trick")[0]) == ["hat", "hat trick", "red hat"]


@pytest.mark.parametrize(
    ("content", "message"),
    [("# nothing\n", "has no entry"), ("ok\n!!!\n", "'!!!' has neither a letter"), (b"\xff\xfe\xff", "cannot be read")],
)
def test_list_is_refused_when_it_cannot_be_meant(list_file, content, message):
    with pytest.raises(RecipeError, match=message):
        read_entries([list_file(content)])


def test_list_is_refused_when_it_is_not_there(tmp_path):
    with pytest.raises(RecipeError, match=r"none\.txt: cannot be read"):
        read_entries([str(tmp_path / "none.txt")])
