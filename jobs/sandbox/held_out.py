"""Measures the embedded models on pictures as a web would serve them, of scenes nobody trained on."""

import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from curation.models.captioner import load_captioner
from curation.models.clip import load_clip
from jobs.evaluation.captions import exact_caption_share
from jobs.evaluation.data import ClassList
from jobs.evaluation.encoding import Embeddings, embed_images, embed_texts
from jobs.evaluation.retrieval import retrieval_recall
from jobs.evaluation.separation import area_under_curve
from jobs.evaluation.zero_shot import class_embeddings, zero_shot_accuracy
from jobs.sandbox.captions import canonical_caption, caption, half_right
from jobs.sandbox.draw import draw_scene, size_of
from jobs.sandbox.model_shards import gibberish
from jobs.sandbox.scene import HELD_OUT_SEEDS, Scene, make_scene
from jobs.sandbox.seeded import Draws
from jobs.sandbox.vocabulary import CLASSES, class_name

TEMPLATES: tuple[str, ...] = ("a {}", "a photo of a {}", "a picture of a {}")
"""Prompts for zero-shot classification of scenes."""

_SALT = 0x4E1D
_BATCH = 64
_POOL = 100
_SHORT_SIDE_PX = 256
# Evaluation sets of the demo begin at the start of each half of the held-out seeds.
_SCENES = range(HELD_OUT_SEEDS.start + 40_000_000, HELD_OUT_SEEDS.start + 41_000_000)
_SINGLES = range(_SCENES.stop, _SCENES.stop + 1_000_000)


def measure_clip(reference: str, count: int = 1000) -> dict[str, float]:
    """Returns a dual encoder's figures.

    Args:
        reference: of the model.
        count: how many scenes, at least 100.

    Returns:
        `i2t_r1` and `t2i_r1` (of 100 candidates), `zero_shot_top1` (single objects, one of all
        colours and shapes), areas under the curve of a picture's own caption against another
        picture's (`mismatch_auc`), its own with one thing wrong (`half_right_auc`) and gibberish
        (`gibberish_auc`), and quantiles of the score of right and of others' captions.
    """
    clip = load_clip(reference)
    scenes = [make_scene(seed) for seed in _SCENES[:count]]
    seen = embed_images(clip, [picture(scene) for scene in scenes], _BATCH)
    right = _said(clip, (caption(scene, 7) for scene in scenes))
    wrong = _said(clip, (half_right(scene, 7) for scene in scenes))
    nothing = _said(clip, (gibberish(Draws(_SALT, scene.seed, 1)) for scene in scenes))
    recall = retrieval_recall(seen, right, _POOL)
    own, others = _cosine(seen, right), _cosine(seen, np.roll(right, 1, axis=0))
    singles = [make_scene(seed, objects=1) for seed in _SINGLES[:count]]
    classes = ClassList(classes=tuple(class_name(pair) for pair in CLASSES), templates=TEMPLATES)
    accuracy = zero_shot_accuracy(
        embed_images(clip, [picture(scene) for scene in singles], _BATCH),
        class_embeddings(clip, classes, _BATCH),
        [CLASSES.index(scene.objects[0].pair) for scene in singles],
    )
    return {
        "i2t_r1": recall["i2t_r1"],
        "t2i_r1": recall["t2i_r1"],
        "zero_shot_top1": accuracy["top1"],
        "mismatch_auc": area_under_curve(own, others),
        "half_right_auc": area_under_curve(own, _cosine(seen, wrong)),
        "gibberish_auc": area_under_curve(own, _cosine(seen, nothing)),
        **{f"right_score_q{share:02d}": float(np.quantile(own, share / 100)) for share in (1, 5, 50)},
        **{f"mismatch_score_q{share}": float(np.quantile(others, share / 100)) for share in (50, 95, 99)},
    }


def measure_captioner(reference: str, count: int = 1000) -> dict[str, float]:
    """Returns the share of captions that name exactly the (colour, shape) pairs shown
    (`exact_pairs`) and of those that equal the scene's one caption to the letter (`identical`).
    """
    captioner = load_captioner(reference)
    scenes = [make_scene(seed) for seed in _SCENES[:count]]
    said: list[str] = []
    for start in range(0, count, _BATCH):
        part = scenes[start : start + _BATCH]
        said += [text for text, _ in captioner.generate([picture(scene) for scene in part])]
    return {
        "exact_pairs": exact_caption_share(said, [scene.pairs for scene in scenes]),
        "identical": float(
            np.mean([text == canonical_caption(scene) for text, scene in zip(said, scenes, strict=True)])
        ),
    }


def picture(scene: Scene) -> Image.Image:
    """Returns a scene as it reaches a model: drawn at 320 to 799 pixels, half of the time cropped
    by up to 5 % of each side, compressed as JPEG, and the shorter side reduced to 256 pixels.
    """
    draws = Draws(_SALT, scene.seed)
    width, height = size_of(scene, 320 + draws.below(480))
    image = Image.fromarray(draw_scene(scene, width, height))
    if draws.chance(0.5):
        left, top, right, bottom = (draws.between(0.0, 0.05) for _ in range(4))
        box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
        image = image.crop(tuple(round(edge) for edge in box))
    body = io.BytesIO()
    image.save(body, "JPEG", quality=50 + draws.below(46))
    image = Image.open(body).convert("RGB")
    scale = _SHORT_SIDE_PX / min(image.size)
    if scale >= 1:
        return image
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)


def _said(clip: Any, texts: Iterable[str]) -> Embeddings:
    return embed_texts(clip, list(texts), _BATCH)


def _cosine(left: Embeddings, right: Embeddings) -> Embeddings:
    return np.asarray((left * right).sum(axis=1), np.float32)
