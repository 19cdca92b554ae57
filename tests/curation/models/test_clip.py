import json
import warnings
from copy import copy

import cv2
import numpy as np
import open_clip
import pytest
import torch
from open_clip.pretrained import _PRETRAINED
from open_clip.transformer import QuickGELU
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


TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}


@pytest.fixture
def tiny_weights(tmp_path, monkeypatch):
    """An architecture that open_clip knows, with two tags for the same weights: trained with QuickGELU, and without."""
    (tmp_path / "tiny.json").write_text(json.dumps(TINY))
    for names in ("_MODEL_CONFIG_PATHS", "_MODEL_CONFIGS"):
        monkeypatch.setattr(open_clip.factory, names, copy(getattr(open_clip.factory, names)))
    open_clip.add_model_config(tmp_path)
    torch.manual_seed(0)
    torch.save(open_clip.create_model("tiny").state_dict(), tmp_path / "tiny.pt")
    tags = {tag: {"file": str(tmp_path / "tiny.pt"), "quick_gelu": tag == "quick"} for tag in ("quick", "plain")}
    monkeypatch.setitem(_PRETRAINED, "tiny", tags)


@pytest.mark.usefixtures("tiny_weights")
@pytest.mark.parametrize("tag", ["quick", "plain"])
def test_activation_is_the_one_that_the_weights_were_trained_with(tag):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_clip(f"tiny/{tag}").model
    for tower in (model.visual.transformer, model.transformer):
        assert isinstance(tower.resblocks[0].mlp.gelu, QuickGELU) == (tag == "quick")
