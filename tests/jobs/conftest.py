"""What the presets ask their users for, and a finished run to look at."""

from pathlib import Path

import polars as pl
import pytest
from word_recipes import write_recipe

from jobs.cli import main


@pytest.fixture(scope="session", autouse=True)
def _quick_runs(one_language_model):
    """All runs of these tests in this process share the model that tells languages."""


@pytest.fixture(scope="session")
def finished_words(tmp_path_factory):
    """The folder of a finished run of the recipe of words. To look at only."""
    folder = tmp_path_factory.mktemp("words")
    assert main(["run", str(write_recipe(folder)), "--out", str(folder / "out"), "--runner", "in-process"]) == 0
    return str(folder / "out")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with the files that presets name, to work in."""
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"url": ["http://a/1.jpg"], "caption": ["a boat"]}).write_parquet("pairs.parquet")
    Path("metadata").mkdir()
    for name in ("queries.txt", "metadata/en.txt", "metadata/other.txt"):
        Path(name).write_text("boat\nlake\n")
    Path("targets").mkdir()
    pl.DataFrame({"image_embedding": [[1.0, 0.0, 0.0, 0.0]]}).write_parquet("targets/boat.parquet")
    Path("metadata.json").write_text('["boat", "lake"]')
