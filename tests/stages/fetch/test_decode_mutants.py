import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pytest
from mutants import mutants, originals

from curation.images.headers import read_header
from schemas.columns import schema_of
from stages.fetch.decode import DecodeImages, DecodeImagesConfig

MUTANTS = 20_000
SETTINGS = DecodeImagesConfig(
    side_px=64, max_pixels=4_000_000, decode_timeout_s=10.0, decode_memory_bytes=400_000_000, processes=2
)
_CHUNK = 100


@pytest.fixture
def stage():
    stage = DecodeImages(SETTINGS)
    stage.setup()
    yield stage
    stage.close()


def _table(bodies: list[bytes]) -> pa.Table:
    fields = schema_of("row", "key", "body")
    columns = (range(len(bodies)), list(map(str, range(len(bodies)))), bodies)
    return pa.table([pa.array(values, field.type) for field, values in zip(fields, columns, strict=True)], fields)


def _chunks(files: Iterator[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    while chunk := list(islice(files, _CHUNK)):
        yield chunk


def _resident_bytes(stage: DecodeImages) -> int:
    """Of this process and its decoding processes."""
    pids = [os.getpid(), *stage._pool.pids]
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def _check(row: dict) -> None:
    assert (row["image"] is None) == (row["outcome"] == "failed")
    if row["image"] is None:
        assert row["reason"]
        return
    header = read_header(row["image"])
    assert (header.width, header.height) == (row["width"], row["height"])
    assert row["decode_s"] < SETTINGS.decode_timeout_s


def test_every_original_is_an_image_when_nothing_happened_to_it(stage):
    rows = stage.process(_table(list(originals().values()))).to_pylist()
    assert {kind: row["reason"] for kind, row in zip(originals(), rows, strict=True) if row["reason"]} == {}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_mutant_is_an_image_or_has_a_reason_and_nothing_leaks_when_there_are_thousands(stage):
    resident: dict[int, int] = {}
    ends: Counter[str] = Counter()
    crashed: list[tuple[str, str]] = []
    done = 0
    for chunk in _chunks(mutants(MUTANTS, seed=20_261)):
        for (kind, _), row in zip(chunk, stage.process(_table([body for _, body in chunk])).to_pylist(), strict=True):
            _check(row)
            ends[row["reason"] or "image"] += 1
            if row["reason"] == "decoder_crash":
                crashed.append((kind, row["detail"]))
        done += len(chunk)
        resident[done] = _resident_bytes(stage)
    assert ends.total() == done == MUTANTS
    assert ends["image"] > MUTANTS // 10
    # A file may cost itself, but these decoders withstand all of these.
    assert (crashed, stage._pool.restarts) == ([], 0)
    assert resident[MUTANTS] <= 1.1 * resident[MUTANTS // 10]
