import io

import cv2
import numpy as np
import pdqhash
import pytest
from numpy.typing import NDArray
from PIL import Image as Pictures

from jobs.sandbox.draw import draw_scene, size_of
from jobs.sandbox.formats import jpeg
from jobs.sandbox.scene import make_scene
from jobs.sandbox.vocabulary import COLOUR_JITTER, COLOURS, TONES


def _hash(image: NDArray[np.uint8]) -> NDArray[np.int32]:
    return pdqhash.compute(np.ascontiguousarray(image))[0].astype(np.int32)


def test_drawing_has_asked_size_when_aspect_differs() -> None:
    image = draw_scene(make_scene(1), 200, 90)
    assert image.shape == (90, 200, 3)
    assert image.dtype == np.uint8


def test_drawing_is_the_same_when_drawn_again() -> None:
    np.testing.assert_array_equal(draw_scene(make_scene(2), 320, 240), draw_scene(make_scene(2), 320, 240))


@pytest.mark.parametrize("seed", range(5))
def test_drawing_looks_the_same_when_drawn_small_and_large(seed: int) -> None:
    scene = make_scene(seed)
    small = draw_scene(scene, 64, 64).astype(int)
    large = cv2.resize(draw_scene(scene, 1024, 1024), (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(small - large).mean() < 4


def test_centre_of_a_plain_object_has_its_colour_when_drawn() -> None:
    checked = 0
    for seed in range(200):
        scene = make_scene(seed, objects=1)
        item = scene.objects[0]
        if item.texture == "plain" and item.shape in ("circle", "square", "diamond", "cross", "heart", "star"):
            image = draw_scene(scene, 300, 300)
            pixel = image[round(item.y * 300), round(item.x * 300)].astype(int)
            assert np.abs(pixel - COLOURS[item.colour]).max() <= COLOUR_JITTER + 1
            checked += 1
    assert checked > 20


def test_corner_has_the_background_tone_when_drawn() -> None:
    for seed in range(40):
        scene = make_scene(seed)
        tone = TONES[scene.background.tone]
        corner = draw_scene(scene, 300, 300)[:6, :6].reshape(-1, 3).mean(axis=0)
        low, high = np.array(tone.dark) - 12, np.array(tone.light) + 12
        assert (low <= corner).all()
        assert (corner <= high).all()


def test_perceptual_hashes_are_far_apart_when_scenes_differ() -> None:
    hashes = np.stack([_hash(draw_scene(make_scene(seed), 160, 160)) for seed in range(500)])
    ones = hashes.sum(axis=1)
    distances = ones[:, None] + ones[None] - 2 * hashes @ hashes.T
    assert distances[np.triu_indices(len(hashes), 1)].min() > 60


def test_perceptual_hash_stays_near_when_recompressed_and_rescaled() -> None:
    distances = []
    for seed in range(60):
        scene = make_scene(seed)
        width, height = size_of(scene, 480)
        image = draw_scene(scene, width, height)
        half = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        with Pictures.open(io.BytesIO(jpeg(half, 50))) as picture:
            distances.append(int(np.abs(_hash(np.asarray(picture)) - _hash(image)).sum()))
    assert np.median(distances) <= 14
    assert max(distances) <= 31


def test_long_side_is_as_asked_when_scene_is_upright() -> None:
    upright = next(scene for scene in map(make_scene, range(50)) if scene.aspect == (3, 4))
    assert size_of(upright, 400) == (300, 400)
