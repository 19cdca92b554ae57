"""Lists of takedowns: what an entry is, and every line that is none."""

import hashlib

import pytest

from curation.errors import RecipeError
from curation.removals.lists import read_list


def listed(tmp_path, kind, text):
    path = tmp_path / "list.txt"
    path.write_text(text)
    return read_list(kind, str(path))


def test_each_entry_counts_once_when_lines_are_empty_repeated_or_notes(tmp_path):
    text = "\ufeff# requests of May\nhttp://a.org/x\n\n  http://a.org/x \nhttp://b.org/y\n"
    record, entries = listed(tmp_path, "urls", text)
    assert entries == ["http://a.org/x", "http://b.org/y"]
    assert (record.kind, record.entries) == ("urls", 2)
    assert record.sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_domains_come_in_one_spelling_when_listed(tmp_path):
    _, entries = listed(tmp_path, "domains", "Example.ORG\n*.photos.example.net.\nbücher.example\nlocalhost\n")
    assert entries == ["example.org", "photos.example.net", "xn--bcher-kva.example", "localhost"]


@pytest.mark.parametrize(
    ("kind", "line", "what"),
    [
        ("domains", "co.uk", "is a public suffix"),
        ("domains", "github.io", "is a public suffix"),
        ("domains", "http://example.org/", "is no domain"),
        ("domains", "example.org:8080", "is no domain"),
        ("keys", "12ab", "is no key"),
        ("urls", "example.org", "is no URL"),
    ],
)
def test_the_line_is_named_when_it_is_no_entry(tmp_path, kind, line, what):
    with pytest.raises(RecipeError, match=rf"list.txt:2: .*{what}"):
        listed(tmp_path, kind, f"# first\n{line}\n")


def test_it_is_refused_when_there_is_nothing_in_it(tmp_path):
    with pytest.raises(RecipeError, match="the list is empty"):
        listed(tmp_path, "keys", "# none\n")
    with pytest.raises(RecipeError, match="cannot be read"):
        read_list("keys", str(tmp_path / "missing"))
