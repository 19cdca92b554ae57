import cv2
import numpy as np
import pytest

from jobs.training.config import AugmentConfig
from jobs.training.pixels import augment, decode_square

NOTHING = AugmentConfig(max_crop=0.0, brightness=0.0, contrast=0.0, colour=0.0, gray=0.0, jpeg=0.0)


def _png(image):
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def test_the_central_square_is_left_when_an_image_is_wide():
    image = np.zeros((4, 10, 3), np.uint8)
    image[:, 3:7] = (200, 100, 50)
    square = decode_square(_png(image), 4)
    assert square.shape == (4, 4, 3)
    assert np.array_equal(square, np.full((4, 4, 3), (200, 100, 50)))


@pytest.mark.parametrize("size", [2, 9])
def test_colours_stay_when_an_image_is_resized(size):
    square = decode_square(_png(np.full((5, 6, 3), (10, 20, 30), np.uint8)), size)
    assert np.array_equal(square, np.full((size, size, 3), (10, 20, 30)))


def test_none_when_bytes_are_no_image():
    assert decode_square(b"not an image", 8) is None


def test_nothing_changes_when_all_changes_are_off():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    assert np.array_equal(augment(image, 8, NOTHING, np.random.default_rng(1)), image)


def test_channels_are_equal_when_gray_is_certain():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    gray = augment(image, 8, NOTHING.model_copy(update={"gray": 1.0}), np.random.default_rng(1))
    assert np.array_equal(gray[..., 0], gray[..., 1])
    assert np.array_equal(gray[..., 0], gray[..., 2])


def test_the_same_comes_out_when_the_seed_is_the_same():
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    config = AugmentConfig(jpeg=0.5, gray=0.5)
    first, again, other = (augment(image, 16, config, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first.shape == (16, 16, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_image_is_mirrored_when_flips_are_certain():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    flipped = augment(image, 8, NOTHING.model_copy(update={"flip": 1.0}), np.random.default_rng(1))
    assert np.array_equal(flipped, image[:, ::-1])
