import io
from hashlib import blake2b

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

from curation.storage.store import Store
from schemas.columns import COLUMNS

FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}


def picture(number, kind):
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (number * 37 % 256, number * 91 % 256, 40)).save(file, FORMATS[kind])
    return file.getvalue()


def key_of(number):
    return blake2b(str(number).encode(), digest_size=16).hexdigest()


def make_survivors(count, **extra):
    """Rows as the engine hands them over: registered columns of several kinds, and two carried ones."""
    kinds = [list(FORMATS)[number % 3] for number in range(count)]
    captions = [
        [{"text": f"made {number} 🎨", "model": "m", "prompt": None, "score": -0.25}] if number % 4 else []
        for number in range(count)
    ]
    vectors = [np.array([1, number / 100], np.float16) for number in range(count)]
    columns = {
        "row": pa.array(range(count), pa.int64()),
        "key": pa.array([key_of(number) for number in range(count)], pa.string()),
        "url": pa.array([f"http://host/{number}" for number in range(count)], pa.string()),
        "caption": pa.array([None if number % 5 == 4 else f"alt {number} ü" for number in range(count)], pa.string()),
        "image": pa.array([picture(number, kind) for number, kind in enumerate(kinds)], pa.large_binary()),
        "image_format": pa.array(kinds, pa.string()),
        "clip_score": pa.array([np.nan if number == 1 else 0.1 * number for number in range(count)], pa.float32()),
        "image_embedding": pa.array(vectors, COLUMNS["image_embedding"].type),
        "text_embedding": pa.array(vectors, COLUMNS["text_embedding"].type),
        "captions": pa.array(captions, COLUMNS["captions"].type),
        "licence": pa.array(["cc"] * count, pa.large_string()),
        "rank": pa.array(range(count), pa.int16()),
        **extra,
    }
    return pa.table(columns)


def run_sink(step, table, store):
    """What the engine does with a sink."""
    verdicts = step.assign(pl.from_arrow(table.select(["row", "key"])).lazy()).collect()
    units = []
    for (unit,), rows in verdicts.drop_nulls("shard").sort("shard_position").group_by(["shard"], maintain_order=True):
        units.append((unit, rows["row"].to_list()))
    records = [step.write(unit, table.take(rows), store) for unit, rows in sorted(units)]
    return records, step.finish(records, store)


@pytest.fixture
def survivors():
    return make_survivors


@pytest.fixture
def deliver():
    return run_sink


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "shards"))
