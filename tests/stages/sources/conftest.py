"""Folders for the tests of sources."""

import pytest

from curation.storage.store import Store


@pytest.fixture
def workspace(tmp_path):
    return Store(str(tmp_path / "workspace"))


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "tables"
    made.mkdir()
    return made
