import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import gradient

from curation.images.headers import read_header
from curation.images.pdq import inner_part, pdq_dihedral, pdq_hash
from curation.images.pixels import decode_pixels

_REFERENCE = Path(__file__).parents[4] / "shared" / "data" / "neardup_pdq"


def _distance(left: str, right: str) -> int:
    return (int(left, 16) ^ int(right, 16)).bit_count()


def test_hash_is_that_of_the_reference_code_when_photos_are_hashed():
    if not _REFERENCE.is_dir():
        pytest.skip(f"no reference hashes in {_REFERENCE}")
    expected = {
        Path(row["FilePath"]).name: row["Hash"]
        for row in csv.DictReader((_REFERENCE / "expected_hashes.csv").open())
        if "bridge-mods" in row["FilePath"]
    }
    assert len(expected) == 12
    distances = {}
    for name, digits in expected.items():
        body = (_REFERENCE / "bridge-mods" / name).read_bytes()
        found = pdq_hash(decode_pixels(body, read_header(body)))
        assert found.digits is not None
        assert found.quality == 100
        distances[name] = _distance(found.digits, digits)
    # The reference code brings images to 512 x 512 first, which small ones are spared.
    assert max(distances.values()) <= 8
    assert distances["square-256x256.jpg"] == distances["shrink-a-lot.jpg"] == 0


def test_hash_says_nothing_when_an_image_has_no_structure_or_hardly_a_pixel():
    assert pdq_hash(np.full((64, 64, 3), 90, np.uint8)).quality == 0
    assert (pdq_hash(gradient(4, 90)).digits, pdq_hash(gradient(4, 90)).quality) == (None, 0)


def test_hash_does_not_depend_on_the_memory_layout():
    noise = np.random.default_rng(1).integers(0, 255, (80, 60, 3), dtype=np.uint8)
    turned = np.ascontiguousarray(noise[:, ::-1])
    assert pdq_hash(turned[:, ::-1]) == pdq_hash(noise)
    assert pdq_hash(noise).quality == 100


def test_inner_part_leaves_the_same_off_every_side():
    assert np.array_equal(inner_part(gradient(100, 50), 0.9), gradient(100, 50)[2:48, 5:95])


def test_dihedral_hashes_are_those_of_the_turned_and_flipped_image():
    noise = np.random.default_rng(2).integers(0, 255, (12, 12, 3), dtype=np.uint8)
    picture = cv2.resize(noise, (300, 240), interpolation=cv2.INTER_CUBIC)
    found = pdq_dihedral(picture)
    turned = [np.rot90(picture, quarters) for quarters in (1, 2, 3)]
    flipped = [picture[::-1], picture[:, ::-1], picture.swapaxes(0, 1), np.rot90(picture, 2).swapaxes(0, 1)]
    expected = [pdq_hash(np.ascontiguousarray(pixels)).digits for pixels in (*turned, *flipped)]
    assert max(_distance(*pair) for pair in zip(found, expected, strict=True)) <= 2
    assert pdq_dihedral(gradient(4, 90)) == [None] * 7
