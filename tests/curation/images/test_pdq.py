import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import gradient

from curation.images.delivery import DeliverySettings, deliver
from curation.images.headers import read_header
from curation.images.pdq import inner_part, pdq_dihedral, pdq_hash
from curation.images.pixels import decode_pixels

_REFERENCE = Path(__file__).parents[4] / "shared" / "data" / "neardup_pdq"
_TOLERANCE, _COMPARED_QUALITY = 10, 80
_PHOTOS = _REFERENCE.with_name("neardup_ukbench") / "mixed_images"


def _distance(left: str, right: str) -> int:
    return (int(left, 16) ^ int(right, 16)).bit_count()


@pytest.mark.parametrize("delivered", [False, True])
def test_hash_is_within_the_reference_s_tolerance_when_its_photos_are_hashed(delivered: bool) -> None:
    """Source: ThreatExchange, `pdq/README.md`, "Hashing": an implementation is correct if its hashes of the photos of
    `pdq/data` with a quality of 80 or more are within 10 bits of those of the C++ implementation.
    """
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
        if delivered:
            # Of a body that is delivered as it came there is no other image.
            body = deliver(body, DeliverySettings()).image or body
        found = pdq_hash(decode_pixels(body, read_header(body)))
        assert found.digits is not None
        assert found.quality >= _COMPARED_QUALITY
        distances[name] = _distance(found.digits, digits)
    assert max(distances.values()) <= _TOLERANCE
    # What the reference code does not bring to another size first comes out the same.
    assert distances["square-256x256.jpg"] == distances["shrink-a-lot.jpg"] == 0


@pytest.mark.parametrize(
    ("edit", "whole", "inner", "turned"),
    [
        ("resize", True, False, False),
        ("hflip", False, False, True),
        ("rotation", False, False, False),
    ],
)
def test_edit_of_a_photo_is_within_31_bits_when_pdq_can_see_it(
    edit: str, whole: bool, inner: bool, turned: bool
) -> None:
    if not _PHOTOS.is_dir():
        pytest.skip(f"no photos in {_PHOTOS}")
    original, edited = (
        decode_pixels(body, read_header(body))
        for body in ((_PHOTOS / f"ukbench00120{name}.jpg").read_bytes() for name in ("", f"_{edit}"))
    )
    digits, other = pdq_hash(original).digits, pdq_hash(edited).digits
    centre = pdq_hash(inner_part(edited, 0.9)).digits
    assert digits is not None
    assert other is not None
    assert centre is not None
    assert (_distance(digits, other) <= 31) == whole
    assert (_distance(digits, centre) <= 31) == inner
    assert any(found is not None and _distance(digits, found) <= 31 for found in pdq_dihedral(edited)) == turned


def test_edits_of_the_reference_photo_are_near_it_when_none_moves_its_content():
    if not _REFERENCE.is_dir():
        pytest.skip(f"no photos in {_REFERENCE}")
    hashes = {}
    for path in sorted((_REFERENCE / "bridge-mods").glob("*.jpg")):
        body = path.read_bytes()
        hashes[path.name] = pdq_hash(decode_pixels(body, read_header(body))).digits
    original = hashes.pop("aaa-orig.jpg")
    assert original is not None
    assert len(hashes) == 11
    assert all(edit is not None and _distance(original, edit) <= 31 for edit in hashes.values())


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
