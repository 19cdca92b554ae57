import pickle

import cv2
import numpy as np
import pyarrow as pa
from pictures import gradient, saved

from curation.images.headers import read_header
from curation.images.pdq import pdq_hash
from curation.images.pixels import decode_pixels
from schemas.columns import schema_of
from stages.fingerprint.images import Fingerprint, FingerprintConfig


def _table(images: list[bytes]) -> pa.Table:
    columns = {"row": range(len(images)), "key": [f"k{row}" for row in range(len(images))], "image": images}
    fields = schema_of("row", "key", "image")
    return pa.table([pa.array(columns[field.name], field.type) for field in fields], schema=fields)


def test_pdq_is_that_of_the_image_as_it_is_delivered():
    image = saved(gradient(90, 70), "jpg")
    stage = pickle.loads(pickle.dumps(Fingerprint(FingerprintConfig())))
    done = stage.process(_table([image] * 3))
    assert done.column_names == ["row", "key", "image", "pdq", "pdq_quality"]
    assert done.select(stage.spec.adds).schema == schema_of(*stage.spec.adds)
    expected = pdq_hash(decode_pixels(image, read_header(image)))
    assert done["pdq"].to_pylist() == [expected.digits] * 3
    assert done["pdq_quality"].to_pylist() == [expected.quality] * 3


def test_inner_hash_is_nearer_to_a_crop_when_it_is_asked_for():
    noise = np.random.default_rng(2).integers(0, 255, (12, 12, 3), dtype=np.uint8)
    picture = cv2.resize(noise, (300, 300), interpolation=cv2.INTER_CUBIC)
    image, crop = saved(picture, "png"), saved(picture[7:-7, 6:-6], "png")
    stage = Fingerprint(FingerprintConfig(inner_hash=True))
    assert stage.spec.adds[-1] == "pdq_inner"
    done = stage.process(_table([image, crop]))
    whole, crops = (int(digits, 16) for digits in done["pdq"].to_pylist())
    inner = int(done["pdq_inner"][0].as_py(), 16)
    assert (inner ^ crops).bit_count() <= 12 < 20 <= (whole ^ crops).bit_count()


def test_hash_is_null_when_an_image_has_hardly_a_pixel():
    image = saved(gradient(3, 3), "png")
    done = Fingerprint(FingerprintConfig()).process(_table([image]))
    assert (done["pdq"].to_pylist(), done["pdq_quality"].to_pylist()) == ([None], [0])


def test_row_fails_when_its_image_cannot_be_decoded():
    whole = saved(gradient(90, 70), "webp")
    done = Fingerprint(FingerprintConfig()).process(_table([whole[:50], whole]))
    assert done["reason"].to_pylist() == ["truncated_image", None]
    assert done["pdq"].null_count == 1


def test_columns_are_complete_when_the_table_is_empty():
    done = Fingerprint(FingerprintConfig()).process(_table([]))
    assert (done.num_rows, done.column_names[3:]) == (0, ["pdq", "pdq_quality"])
