import cv2
import numpy as np
import pytest
from PIL import Image

from curation.models.captioner import load_captioner


@pytest.fixture(scope="module")
def captioner():
    return load_captioner("embedded:captioner")


@pytest.fixture(scope="module")
def images():
    made = []
    for colour in ((218, 30, 36), (34, 62, 214), (246, 246, 246)):
        pixels = np.full((160, 200, 3), 120, np.uint8)
        cv2.circle(pixels, (100, 80), 36, colour, -1, cv2.LINE_AA)
        made.append(Image.fromarray(pixels))
    return made


def test_each_image_is_described_when_there_are_several(captioner, images):
    said = captioner.generate(images)
    assert all(score < 0 for _, score in said)
    for (text, _), colour in zip(said, ("red", "blue", "white"), strict=True):
        assert f"{colour} circle" in text


def test_captions_do_not_depend_on_the_batch_when_images_are_alone(captioner, images):
    together = captioner.generate(images)
    alone = [captioner.generate([image])[0] for image in images]
    assert [text for text, _ in alone] == [text for text, _ in together]
    assert [score for _, score in alone] == pytest.approx([score for _, score in together], abs=1e-4)


def test_the_caption_goes_on_when_there_is_a_prompt(captioner, images):
    ((text, _),) = captioner.generate(images[:1], prompt="a big red circle and")
    assert text
    assert not text.startswith("a big red circle and")


def test_scores_are_no_lower_when_beams_are_searched(captioner, images):
    greedy, beams = captioner.generate(images), captioner.generate(images, num_beams=3)
    assert len(beams) == 3
    assert all(isinstance(text, str) for text, _ in beams)
    assert sum(score for _, score in beams) >= sum(score for _, score in greedy) - 0.05


def test_few_tokens_are_said_when_their_number_is_bounded(captioner, images):
    ((text, _),) = captioner.generate(images[:1], max_new_tokens=3)
    assert len(text.split()) <= 3


def test_nothing_is_said_when_there_are_no_images(captioner):
    assert captioner.generate([]) == []
