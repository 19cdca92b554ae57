import io

import numpy as np
import pdqhash
import pytest
from numpy.typing import NDArray
from PIL import Image as Pictures

from jobs.sandbox.alter import near_copy
from jobs.sandbox.draw import draw_scene
from jobs.sandbox.scene import make_scene
from jobs.sandbox.seeded import Draws
from jobs.sandbox.trouble import CopyKind

NEAR = [kind for kind in CopyKind if kind.near]


def _decoded(body: bytes) -> NDArray[np.uint8]:
    with Pictures.open(io.BytesIO(body)) as picture:
        return np.array(picture.convert("RGB"))


def _distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    return int((pdqhash.compute(one)[0] != pdqhash.compute(other)[0]).sum())


@pytest.mark.parametrize("kind", NEAR)
def test_copy_differs_but_looks_alike_when_altered(kind: CopyKind) -> None:
    distances = []
    for seed in range(25):
        image = draw_scene(make_scene(seed), 400, 300)
        before = image.copy()
        altered = _decoded(near_copy(image, kind, Draws(seed)))
        np.testing.assert_array_equal(image, before)
        assert altered.shape != image.shape or (altered != image).any()
        distances.append(_distance(altered, image))
    assert max(distances) <= (60 if kind is CopyKind.CROPPED else 31)


def test_cropped_copy_keeps_90_percent_of_the_area_when_cropped() -> None:
    for seed in range(40):
        altered = _decoded(near_copy(draw_scene(make_scene(seed), 400, 300), CopyKind.CROPPED, Draws(seed)))
        assert 0.9 * 400 * 300 <= altered.shape[0] * altered.shape[1] < 400 * 300


def test_rescaled_copy_is_smaller_in_the_same_aspect_when_rescaled() -> None:
    for seed in range(20):
        height, width, _ = _decoded(
            near_copy(draw_scene(make_scene(1), 400, 300), CopyKind.RESCALED, Draws(seed))
        ).shape
        assert 0.5 <= width / 400 <= 0.9
        assert width / height == pytest.approx(4 / 3, rel=0.02)


def test_error_is_raised_when_kind_is_not_a_near_one() -> None:
    with pytest.raises(KeyError):
        near_copy(draw_scene(make_scene(1), 64, 64), CopyKind.EXACT, Draws(1))
