"""WebDataset shards of clean training scenes, for the embedded models."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import simplejpeg

from jobs.sandbox.captions import canonical_caption, caption
from jobs.sandbox.draw import draw_scene
from jobs.sandbox.sample_tar import Sample, json_bytes, write_sample_tar
from jobs.sandbox.scene import TRAINING_SEEDS, Scene, make_scene
from jobs.sandbox.seeded import Draws

_SALT = 0x7EA1
_PROCESSES = 2


def write_training_shards(
    folder: Path,
    count: int,
    seed_offset: int = 0,
    image_px: int = 96,
    shard_size: int = 2000,
) -> list[Path]:
    """Writes `count` training scenes as `NNNNNN.tar`, with two processes.

    A sample has `jpg` (shorter side `image_px`, in the scene's aspect, quality 70 to 95), `txt`
    (a caption) and `json` (`seed`, `canonical`, `pairs`, `tone`).

    Args:
        folder: made when it is missing; shards of the same name are replaced.
        count: how many scenes.
        seed_offset: where in `TRAINING_SEEDS` to begin.
        image_px: the pictures' shorter side in pixels.
        shard_size: samples in each shard but the last.

    Returns:
        The shards' paths in order.

    Raises:
        ValueError: if the seeds would leave `TRAINING_SEEDS`.
    """
    if seed_offset < 0 or count < 1 or seed_offset + count > len(TRAINING_SEEDS):
        raise ValueError(f"scenes {seed_offset} to {seed_offset + count} are not all in range")
    folder.mkdir(parents=True, exist_ok=True)
    seeds = TRAINING_SEEDS[seed_offset : seed_offset + count]
    slices = [seeds[start : start + shard_size] for start in range(0, count, shard_size)]
    paths = [folder / f"{number:06d}.tar" for number in range(len(slices))]
    if len(slices) == 1:
        _write_shard(paths[0], slices[0], image_px)
        return paths
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_PROCESSES, mp_context=context) as pool:
        list(pool.map(_write_shard, paths, slices, [image_px] * len(slices)))
    return paths


def picture_size(scene: Scene, short_side: int) -> tuple[int, int]:
    """Returns (width, height) in the scene's aspect with the given shorter side, in pixels."""
    across, down = scene.aspect
    shorter = min(across, down)
    return round(short_side * across / shorter), round(short_side * down / shorter)


def _write_shard(path: Path, seeds: range, image_px: int) -> int:
    cv2.setNumThreads(1)
    return write_sample_tar(path, _samples(seeds, image_px))


def _samples(seeds: range, image_px: int) -> Iterator[Sample]:
    for seed in seeds:
        scene = make_scene(seed)
        draws = Draws(_SALT, seed)
        image = draw_scene(scene, *picture_size(scene, image_px))
        quality = round(draws.between(70, 95))
        facts = {
            "seed": seed,
            "canonical": canonical_caption(scene),
            "pairs": [list(item.pair) for item in scene.objects],
            "tone": scene.background.tone,
        }
        yield (
            f"{seed:09d}",
            {
                "jpg": simplejpeg.encode_jpeg(image, quality=quality, colorsubsampling="420"),
                "txt": caption(scene, draws.below(2**32)).encode(),
                "json": json_bytes(facts),
            },
        )
