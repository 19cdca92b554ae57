"""What the presets ask their users for."""

from pathlib import Path

import polars as pl
import pytest


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with the files that presets name, to work in."""
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"url": ["http://a/1.jpg"], "caption": ["a boat"]}).write_parquet("pairs.parquet")
    Path("metadata").mkdir()
    for name in ("queries.txt", "metadata/en.txt", "metadata/other.txt"):
        Path(name).write_text("boat\nlake\n")
    Path("metadata.json").write_text('["boat", "lake"]')
