"""WebDataset shards that the embedded models learn from: scenes with many texts, right and wrong."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import simplejpeg

from jobs.sandbox.captions import canonical_caption, caption, half_right
from jobs.sandbox.draw import draw_scene
from jobs.sandbox.sample_tar import Sample, json_bytes, write_sample_tar
from jobs.sandbox.scene import Scene, make_scene
from jobs.sandbox.seeded import Draws
from jobs.sandbox.training_shards import picture_size

CANONICAL = "canonical"
"""What the json calls the author of the caption that the captioner learns."""

ALTERNATIVE = "alternative"
"""What it calls the author of further true captions."""

_SALT = 0x7EA2
_PROCESSES = 2
_SHARD_SIZE = 2000
_ALTERNATIVES = 4
_HALF_RIGHT = 3
_GIBBERISH_SHARE = 0.12
_LETTERS = "eeeaaooiuutttnnrrsshldlcmfgpwybvkxjqz"


@dataclass(frozen=True)
class _Shard:
    path: Path
    seeds: range
    image_px: int
    objects: int | None


def write_model_shards(folder: Path, seeds: range, *, image_px: int, objects: int | None = None) -> list[Path]:
    """Writes the scenes of some seeds, with two processes, and returns the shards in order.

    A sample has `jpg`, `txt` (a caption) and `json`: `captions` (the canonical one and others that
    are true), `hard_negatives` (captions with one colour or shape wrong or two colours changed
    over; for some samples, gibberish) and `pairs`.

    Args:
        folder: made when it is missing; shards of the same name are replaced.
        seeds: of the scenes.
        image_px: the pictures' shorter side in pixels.
        objects: how many each scene shows; None leaves it to the seeds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    slices = [seeds[start : start + _SHARD_SIZE] for start in range(0, len(seeds), _SHARD_SIZE)]
    shards = [_Shard(folder / f"{number:06d}.tar", part, image_px, objects) for number, part in enumerate(slices)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_PROCESSES, mp_context=context) as pool:
        list(pool.map(_write_shard, shards))
    return [shard.path for shard in shards]


def gibberish(draws: Draws) -> str:
    """Returns a text that says nothing about any picture: a file name or words of no language."""
    if draws.chance(0.25):
        return f"{_word(draws)}_{draws.below(10_000)}.{draws.pick(('jpg', 'png', 'webp'))}"
    return " ".join(_word(draws) for _ in range(1 + draws.below(13)))


def with_colours_exchanged(scene: Scene, draws: Draws) -> Scene | None:
    """Returns the scene with the colours of two objects changed over, or None if that is a scene
    of the same (colour, shape) pairs or some pair would occur twice.
    """
    if len(scene.objects) < 2:
        return None
    first, second = draws.shuffled(range(len(scene.objects)))[:2]
    objects = list(scene.objects)
    objects[first] = replace(objects[first], colour=scene.objects[second].colour)
    objects[second] = replace(objects[second], colour=scene.objects[first].colour)
    exchanged = replace(scene, objects=tuple(objects))
    if exchanged.pairs == scene.pairs or len(exchanged.pairs) < len(objects):
        return None
    return exchanged


def _word(draws: Draws) -> str:
    return "".join(draws.pick(_LETTERS) for _ in range(2 + draws.below(8)))


def _write_shard(shard: _Shard) -> int:
    cv2.setNumThreads(1)
    return write_sample_tar(shard.path, _samples(shard))


def _samples(shard: _Shard) -> Iterator[Sample]:
    for seed in shard.seeds:
        scene = make_scene(seed, objects=shard.objects)
        draws = Draws(_SALT, seed)
        image = draw_scene(scene, *picture_size(scene, shard.image_px))
        quality = round(draws.between(75, 96))
        right = [(CANONICAL, canonical_caption(scene))] + [
            (ALTERNATIVE, caption(scene, _seed(draws))) for _ in range(_ALTERNATIVES)
        ]
        facts = {
            "captions": [{"text": text, "model": model, "prompt": "", "score": 1.0} for model, text in right],
            "hard_negatives": _wrong_texts(scene, draws),
            "pairs": [list(item.pair) for item in scene.objects],
        }
        yield (
            f"{seed:09d}",
            {
                "jpg": simplejpeg.encode_jpeg(image, quality=quality, colorsubsampling="420"),
                "txt": caption(scene, _seed(draws)).encode(),
                "json": json_bytes(facts),
            },
        )


def _wrong_texts(scene: Scene, draws: Draws) -> list[str]:
    if draws.chance(_GIBBERISH_SHARE):
        return [gibberish(draws)]
    wrong = [half_right(scene, _seed(draws)) for _ in range(_HALF_RIGHT)]
    exchanged = with_colours_exchanged(scene, draws)
    if exchanged is not None:
        wrong.append(caption(exchanged, _seed(draws)))
    return wrong


def _seed(draws: Draws) -> int:
    return draws.below(2**32)
