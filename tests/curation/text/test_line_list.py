import pytest

from curation.errors import RecipeError
from curation.text.line_list import lines_of, read_file


def test_lines_with_text_are_numbered_when_some_are_empty_or_comments():
    content = "\ufeff# of two\r\n a fox \n\n  # gone\rb\x0cc\u2028d\n".encode()
    assert [(line.number, line.text) for line in lines_of(content, "l.txt")] == [(2, "a fox"), (5, "b\x0cc\u2028d")]
    kept = lines_of(content, "l.txt", comments=False)
    assert [line.text for line in kept] == ["# of two", "a fox", "# gone", "b\x0cc\u2028d"]
    assert lines_of(b"", "l.txt") == []


def test_place_is_told_when_a_list_cannot_be_read(tmp_path):
    with pytest.raises(RecipeError, match=r"^l\.txt:2: cannot be read: it is not UTF-8; save it as UTF-8$"):
        lines_of("fox\nfüchsin\n".encode("latin-1"), "l.txt")
    with pytest.raises(RecipeError, match=r"none\.txt: cannot be read: "):
        read_file(str(tmp_path / "none.txt"))
    with pytest.raises(RecipeError, match=r"^nowhere://l\.txt: cannot be read: "):
        read_file("nowhere://l.txt")
