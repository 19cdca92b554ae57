import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from curation.models.clip import load_clip


def _circle(colour):
    image = np.full((160, 200, 3), 128, np.uint8)
    cv2.circle(image, (100, 80), 40, colour, -1, cv2.LINE_AA)
    return Image.fromarray(image)


@pytest.fixture(scope="module")
def clip():
    return load_clip("embedded:clip")


def _scores(clip, image, texts):
    with torch.inference_mode():
        seen = clip.model.encode_image(clip.preprocess(image)[None], normalize=True)
        said = clip.model.encode_text(clip.tokenizer(texts), normalize=True)
    assert seen.shape == (1, clip.embed_dim)
    return (said @ seen[0]).tolist()


def test_the_right_text_scores_highest_when_the_embedded_clip_compares(clip):
    right, wrong, nothing = _scores(clip, _circle((218, 30, 36)), ["a red circle", "a blue star", "IMG_2041.jpg"])
    assert right > wrong
    assert right > nothing


def test_images_have_the_model_s_size_when_preprocessed(clip):
    assert clip.preprocess(_circle((0, 0, 0))).shape == (3, clip.image_size, clip.image_size)


def test_weights_have_the_precision_when_it_is_given():
    half = load_clip("embedded:clip", precision="bf16")
    assert half.model.visual.conv1.weight.dtype == torch.bfloat16
