"""A whole run over a folder that img2dataset wrote: no row is lost, and nothing tells where the folder lay."""

import json
from collections import Counter
from pathlib import Path

import img2dataset_folders
import polars as pl
import pytest
from pictures import gradient, saved

from curation.engine.events import Listeners
from curation.engine.run import Run
from curation.plan.checks import checked_plan
from curation.recipe.load import parse_recipe
from curation.runtime.in_process import InProcessRunner
from curation.storage.store import Store
from stages.catalogue import CATALOGUE

RECIPE = """
source: {kind: img2dataset_output, path: FOLDER}
steps:
  - {kind: read_img2dataset}
  - {kind: decode_images, side_px: 16}
  - {kind: write_shards, shard_rows: 10}
run: {part_rows: 7}
"""


@pytest.fixture
def shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(
        img2dataset_folders, "body_of", lambda number: saved(gradient(40 + number, 30), "jpg", quality=90)
    )
    for shard, numbers in enumerate((range(25), range(25, 40))):
        img2dataset_folders.write_shard(tmp_path / "shards", shard, list(numbers), "webdataset")
    return tmp_path / "shards"


def run(folder: Path, out: Path):
    text = RECIPE.replace("FOLDER", json.dumps(str(folder)))
    recipe = parse_recipe(text, "recipe.yaml", CATALOGUE, [])
    runner = InProcessRunner(recipe.run.max_tries)
    result = Run(recipe, checked_plan(recipe), Store(str(out)), runner, Listeners()).execute()
    files = {
        path.name: path.read_bytes()
        for kind in (result.ledger, result.shards)
        for path in sorted((out / kind).iterdir())
    }
    return pl.read_parquet(f"{out}/{result.ledger}/*.parquet").sort("row"), files


def test_rows_in_are_rows_out_and_the_folder_may_lie_anywhere(shards: Path, tmp_path: Path):
    ledger, files = run(shards, tmp_path / "run")
    assert ledger["row"].to_list() == list(range(40))
    # Of ten rows each: one 404, one broken image, one too small.
    assert Counter(ledger["outcome"].to_list()) == {"kept": 28, "failed": 8, "rejected": 4}
    assert Counter(ledger["reason"].drop_nulls().to_list()) == {
        "http_not_found": 4,
        "corrupt_image": 4,
        "read_img2dataset.min_side": 4,
    }
    assert {"similarity", "source_width", "exif", "source_sha256", "status"} <= set(ledger.columns)
    assert not {"reference", "reference_error"} & set(ledger.columns)
    moved = shards.rename(tmp_path / "elsewhere")
    assert run(moved, tmp_path / "again")[1] == files
