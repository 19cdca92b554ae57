"""A folder is refused before anything is measured for it."""

import pytest

from curation.errors import RecipeError
from curation.storage.probe import check_store
from curation.storage.store import Store


class LastWriterWins(Store):
    """A store as some servers are: they ignore `If-None-Match`."""

    def put_if_absent(self, path, data):
        self.write_bytes(path, data)
        return True


def test_nothing_is_left_when_a_folder_is_good(tmp_path):
    check_store(Store(str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_named_when_it_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecipeError) as caught:
        check_store(Store(str(tmp_path / "file")))
    assert str(caught.value).startswith(f"{tmp_path}/file: cannot be written: ")
    assert str(caught.value).endswith("name another folder with --out")


def test_the_store_is_refused_when_a_second_writer_replaces_the_first(tmp_path):
    with pytest.raises(RecipeError, match=r"set `run\.single_writer: true`"):
        check_store(LastWriterWins(str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_the_store_is_taken_when_the_recipe_vouches_for_a_single_writer(tmp_path):
    check_store(LastWriterWins(str(tmp_path)), single_writer=True)
    assert list(tmp_path.iterdir()) == []
