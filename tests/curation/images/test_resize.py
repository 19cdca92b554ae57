import numpy as np
import pytest
from pictures import gradient

from curation.images.resize import Side, resize_pixels, target_size


@pytest.mark.parametrize(
    ("size", "side_px", "side", "upscale", "expected"),
    [
        ((1000, 500), 250, "shortest", False, (500, 250)),
        ((1000, 500), 250, "longest", False, (250, 125)),
        ((500, 1000), 333, "shortest", False, (333, 666)),
        ((1000, 3), 100, "longest", False, (100, 1)),
        ((100, 200), 150, "shortest", False, (100, 200)),
        ((100, 200), 150, "shortest", True, (150, 300)),
        ((150, 200), 150, "shortest", True, (150, 200)),
        ((100, 200), 150, "longest", False, (75, 150)),
        ((100, 200), None, "shortest", True, (100, 200)),
    ],
)
def test_size_follows_the_chosen_side(
    size: tuple[int, int], side_px: int | None, side: Side, upscale: bool, expected: tuple[int, int]
):
    assert target_size(size, side_px, side, upscale=upscale) == expected


@pytest.mark.parametrize("size", [(40, 30), (160, 120), (80, 60)])
def test_picture_stays_the_same_picture_when_it_is_resized(size: tuple[int, int]):
    resized = resize_pixels(gradient(80, 60), size)
    assert resized.shape == (size[1], size[0], 3)
    assert np.abs(resized.astype(int) - gradient(*size)).mean() < 2
