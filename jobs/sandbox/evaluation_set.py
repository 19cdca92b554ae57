"""Held-out scenes to evaluate models on: nothing is wrong with them, and nobody trains on them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import simplejpeg

from jobs.sandbox.captions import canonical_caption, caption, named_pairs
from jobs.sandbox.draw import draw_scene
from jobs.sandbox.sample_tar import Sample, json_bytes, write_sample_tar
from jobs.sandbox.scene import HELD_OUT_SEEDS, Scene, make_scene
from jobs.sandbox.seeded import Draws
from jobs.sandbox.training_shards import picture_size
from jobs.sandbox.vocabulary import CLASSES, class_name

CLASS_NAMES: tuple[str, ...] = tuple(class_name(pair) for pair in CLASSES)
"""The words for each label, in the labels' order."""

TEMPLATES = ("a photo of a {}", "a picture of a {}", "there is a {} here", "{}")
"""The prompts into which the words of a class are put, as `classes.json` gives them to the evaluation."""

_SALT = 0xE7A1
_HALF = len(HELD_OUT_SEEDS) // 2
_CLASS_OF = {pair: label for label, pair in enumerate(CLASSES)}
_SHARD_SIZE = 1000
_QUALITY = 90


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """Where the shards of an evaluation set are."""

    zero_shot: tuple[Path, ...]
    retrieval: tuple[Path, ...]


def write_evaluation_set(
    folder: Path, zero_shot: int = 660, retrieval: int = 500, image_px: int = 128, seed: int = 0
) -> EvaluationSet:
    """Writes both parts as WebDataset shards, `zero_shot-NNNNNN.tar` and `retrieval-NNNNNN.tar`, and `classes.json`.

    Zero-shot samples show one object each and have `jpg`, `txt`, `cls` (an index into `CLASSES`
    and `CLASS_NAMES`) and `json`. Retrieval samples show two objects or more and have `jpg`, `txt` and
    `json`; each caption names all objects and is true of no other picture of the set.

    Args:
        folder: made when it is missing.
        zero_shot: how many scenes with one object.
        retrieval: how many pairs.
        image_px: the pictures' shorter side in pixels.
        seed: 0 to 99; sets of different seeds share no scene.

    Raises:
        ValueError: if the seed is not 0 to 99.
    """
    if not 0 <= seed < 100:
        raise ValueError(f"the seed of an evaluation set is 0 to 99, not {seed}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classes.json").write_bytes(json_bytes({"classes": list(CLASS_NAMES), "templates": list(TEMPLATES)}))
    first = HELD_OUT_SEEDS.start + seed * (_HALF // 100)
    return EvaluationSet(
        zero_shot=_write(folder, "zero_shot", _zero_shot(first, image_px), zero_shot),
        retrieval=_write(folder, "retrieval", _retrieval(first + _HALF, image_px), retrieval),
    )


def _write(folder: Path, name: str, samples: Iterator[Sample], count: int) -> tuple[Path, ...]:
    paths = []
    for number, start in enumerate(range(0, count, _SHARD_SIZE)):
        path = folder / f"{name}-{number:06d}.tar"
        size = min(_SHARD_SIZE, count - start)
        write_sample_tar(path, (next(samples) for _ in range(size)))
        paths.append(path)
    return tuple(paths)


def _zero_shot(first: int, image_px: int) -> Iterator[Sample]:
    for seed in range(first, first + _HALF // 100):
        scene = make_scene(seed, objects=1)
        label = _CLASS_OF[scene.objects[0].pair]
        yield _sample(scene, class_name(CLASSES[label]), image_px, label)


def _retrieval(first: int, image_px: int) -> Iterator[Sample]:
    # A caption must not be true of another picture of the set: none leaves out an object, and no
    # scene shows all that another one shows, which rules out scenes with one object.
    taken: list[frozenset[tuple[str, str]]] = []
    for seed in range(first, first + _HALF // 100):
        scene = make_scene(seed)
        text = caption(scene, Draws(_SALT, seed).below(2**32))
        if len(scene.objects) == 1 or frozenset(named_pairs(text)) != scene.pairs:
            continue
        if not any(scene.pairs <= other or other <= scene.pairs for other in taken):
            taken.append(scene.pairs)
            yield _sample(scene, text, image_px, None)


def _sample(scene: Scene, text: str, image_px: int, label: int | None) -> Sample:
    image = draw_scene(scene, *picture_size(scene, image_px))
    facts: dict[str, object] = {
        "seed": scene.seed,
        "canonical": canonical_caption(scene),
        "pairs": [list(item.pair) for item in scene.objects],
    }
    members = {
        "jpg": simplejpeg.encode_jpeg(image, quality=_QUALITY, colorsubsampling="420"),
        "txt": text.encode(),
    }
    if label is not None:
        facts["class"] = label
        members["cls"] = str(label).encode()
    return f"{scene.seed:09d}", {**members, "json": json_bytes(facts)}
