import numpy as np
import pyarrow as pa
import pytest
from copy_models import copy_model
from pictures import gradient, saved

from curation.errors import RecipeError
from stages.encode.copies import DescribeCopies, DescribeCopiesConfig


def described(images, batch_size=4):
    stage = DescribeCopies(DescribeCopiesConfig(model=copy_model(), side_px=32, batch_size=batch_size))
    stage.setup()
    return stage.process(pa.table({"image": pa.array(images, pa.large_binary())}))


def test_vectors_are_those_of_the_model_when_images_are_described():
    red = np.zeros((20, 30, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    vector = np.array(described([saved(red, "png")])["copy_descriptor"].to_pylist()[0], np.float32).reshape(3, 16)
    # (1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225, sixteen times each.
    wanted = np.array([2.2489, -2.0357, -1.8044])
    assert vector == pytest.approx(np.repeat(wanted[:, None], 16, 1) / (4 * np.linalg.norm(wanted)), abs=1e-3)


def test_neighbours_change_nothing_when_batches_differ():
    images = [saved(gradient(40 + step, 30), "jpg") for step in range(5)]
    assert described(images, 4).equals(described(images, 4))
    alone = pa.concat_tables([described([image]) for image in images])
    assert described(images)["copy_descriptor"].to_pylist() == alone["copy_descriptor"].to_pylist()


def test_a_row_fails_when_its_image_is_broken():
    table = described([b"\xff\xd8\xff", saved(gradient(40, 30), "jpg")])
    assert table["outcome"].to_pylist() == ["failed", None]
    assert table["copy_descriptor"].to_pylist()[0] is None


def test_the_remedy_is_told_when_the_model_is_none(tmp_path):
    with pytest.raises(RecipeError, match="there is no such file"):
        DescribeCopies(DescribeCopiesConfig(model=str(tmp_path / "none.pt"))).check()
    (tmp_path / "wrong.pt").write_bytes(b"wrong")
    with pytest.raises(RecipeError, match="it must be a TorchScript file"):
        DescribeCopies(DescribeCopiesConfig(model=str(tmp_path / "wrong.pt"))).setup()
