"""A whole small recipe, from a list to shards, whose pictures are in their URLs: no web is needed, and no Ray."""

import base64
import json
from pathlib import Path

import numpy as np
from pictures import saved

from curation.storage.store import Store
from jobs.cli import main
from schemas.records import RunRecord

ROWS, PART_ROWS, SHARD_ROWS = 24, 4, 5
PHASES = ("text_rules", "fetch_images-decode_images-fingerprint")
PARTS = ROWS // PART_ROWS

RECIPE = """\
name: pictures
source:
  kind: url_table
  path: LIST
steps:
  - kind: text_rules
    min_words: 1
  - kind: fetch_images
    allow_public: false
  - kind: decode_images
    side_px: 32
    min_side: 8
  - kind: fingerprint
  - kind: deduplicate
    perceptual: {max_distance: 8, min_quality: 0}
  - kind: write_shards
    shard_rows: SHARD_ROWS
run:
  part_rows: PART_ROWS
"""


def write_picture_recipe(
    folder: Path, rows: int = ROWS, part_rows: int = PART_ROWS, shard_rows: int = SHARD_ROWS
) -> Path:
    """The list and the recipe that reads it. Of every twelve rows one has no caption, one no picture, one is a copy."""
    draw = np.random.default_rng(7)
    lines = []
    for row in range(rows):
        body = saved(draw.integers(0, 255, (6, 6, 3), np.uint8).repeat(8, 0).repeat(8, 1), "png")
        url = "data:image/png;base64," + base64.b64encode(body).decode()
        if row % 12 == 5:
            url = "data:,nothing"
        if row % 12 == 8:
            url = lines[-1]["url"]
        lines.append({"url": url, "caption": "" if row % 12 == 2 else f"a picture of number {row}"})
    table = folder / "list.jsonl"
    table.write_text("".join(json.dumps(line) + "\n" for line in lines))
    recipe = folder / "pictures.yaml"
    sizes = {"LIST": str(table), "PART_ROWS": str(part_rows), "SHARD_ROWS": str(shard_rows)}
    text = RECIPE
    for name, value in sizes.items():
        text = text.replace(name, value)
    recipe.write_text(text)
    return recipe


def run_pictures(recipe: Path, out: object, *settings: str) -> int:
    """Runs a recipe in this process; the exit code."""
    chosen = [word for setting in settings for word in ("--set", setting)]
    return main(["run", str(recipe), "--out", str(out), "--runner", "in-process", "--json", *chosen])


def record_in(out: str) -> RunRecord:
    """The record of the latest run."""
    return RunRecord.model_validate_json(Store(str(out)).read_bytes("run.json"))


def downloaded(out: str, folder: Path) -> Path:
    """A copy of all that lies in an object store: looking at it takes one request a file."""
    store = Store(out)
    paths = [file.path for file in store.files_below()]
    for path, data in zip(paths, store.read_many(paths), strict=True):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def results_in(out: str) -> dict[str, bytes]:
    """The bytes of the ledger and of the shards, by path."""
    store, record = Store(str(out)), record_in(out)
    paths = [f"{folder}/{name}" for folder in (record.ledger, record.shards) for name in store.list(folder)]
    return dict(zip(paths, store.read_many(paths), strict=True))


def commits_in(out: str) -> set[str]:
    """Paths of everything that is committed."""
    files = [file.path for file in Store(str(out)).files_below()]
    return {path for path in files if "commit" in path and path.endswith(".json")}


def measured_in(out: str, run: int = -1) -> dict[str, set[int]]:
    """Units that a run (the latest) worked on, by item, from its metrics."""
    store = Store(str(out))
    names = store.list("metrics")
    latest = sorted({name.split("-")[0] for name in names})[run]
    worked = {}
    for name in names:
        if name.startswith(latest):
            for line in store.read_bytes(f"metrics/{name}").decode().splitlines():
                event = json.loads(line)
                if event["event"] == "unit" and event["rows_measured"]:
                    worked.setdefault(event["item"], set()).add(event["unit"])
    return worked
