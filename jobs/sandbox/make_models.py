"""Makes the embedded models: `python -m jobs.sandbox.make_models --out curation/models/embedded`."""

import argparse
import itertools
import logging
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from jobs.sandbox.captions import canonical_caption, caption, half_right
from jobs.sandbox.held_out import measure_captioner, measure_clip
from jobs.sandbox.model_cards import captioner_card, clip_card
from jobs.sandbox.model_shards import CANONICAL, write_model_shards
from jobs.sandbox.scene import TRAINING_SEEDS, make_scene
from jobs.training.config import DataConfig, TrainConfig
from jobs.training.loop import train
from jobs.training.tokenizer import make_tokenizer

_LOG = logging.getLogger(__name__)

_SCENES = TRAINING_SEEDS[:60_000]
_SINGLES = TRAINING_SEEDS[50_000_000:50_024_000]
_SCENE_PX, _SINGLE_PX = 128, 96
_TOKENIZER_SCENES = 6000

_CLIP_TEXTS = DataConfig(
    caption="mix", synthetic_share=0.85, hard_negatives="given", shuffle_buffer=4000, cache_mb=2000
)
_CAPTIONER_TEXTS = DataConfig(caption="synthetic", caption_models=(CANONICAL,), shuffle_buffer=4000, cache_mb=2000)
_CLIP = TrainConfig(
    model="tiny-clip",
    batch_size=128,
    learning_rate=1.5e-3,
    warmup_steps=60,
    weight_decay=0.1,
    checkpoint_every=200,
    data=_CLIP_TEXTS,
)
_CAPTIONER = TrainConfig(
    objective="captioning",
    model="tiny-captioner",
    batch_size=64,
    learning_rate=1.5e-3,
    warmup_steps=100,
    weight_decay=0.05,
    weights_dtype="fp16",
    checkpoint_every=200,
    data=_CAPTIONER_TEXTS,
)


@dataclass(frozen=True)
class Schedule:
    """Steps of each training; the defaults are those of the weights in the package."""

    clip_singles: int = 400
    clip_scenes: int = 1000
    captioner: int = 3600


def make_models(out: Path, work: Path, schedule: Schedule) -> None:
    """Draws scenes, trains both models, measures them and puts them into `out` with their cards.

    An interrupted call goes on where it stopped, as long as `work` is left alone.

    Args:
        out: gets the folders `clip` and `captioner`.
        work: for shards, checkpoints and everything between; a few hundred MB.
        schedule: how long to train.
    """
    begin = time.monotonic()
    scenes = _shards(work / "scenes", _SCENES, _SCENE_PX, None)
    singles = _shards(work / "singles", _SINGLES, _SINGLE_PX, 1)
    tokenizer = work / "tokenizer"
    if not tokenizer.is_dir():
        make_tokenizer(_texts(), tokenizer)
    clip = _train_clip(work, singles, scenes, schedule)
    captioner = train(
        [*scenes, *singles],
        work / "captioner",
        _CAPTIONER.model_copy(update={"tokenizer": str(tokenizer), "steps": schedule.captioner}),
    ).model
    minutes = (time.monotonic() - begin) / 60
    _LOG.info("trained in %.0f minutes", minutes)
    figures = measure_clip(f"local-dir:{clip}")
    _install(clip, out / "clip", clip_card(figures, schedule.clip_singles, schedule.clip_scenes))
    figures = measure_captioner(f"local-dir:{captioner}")
    _install(captioner, out / "captioner", captioner_card(figures, schedule.captioner))


def _train_clip(work: Path, singles: list[Path], scenes: list[Path], schedule: Schedule) -> Path:
    # With several objects, colours alone tell almost all pictures of a batch apart, and shapes are
    # not learned for thousands of steps; with one object they have to be.
    config = _CLIP.model_copy(update={"tokenizer": str(work / "tokenizer")})
    first = train(singles, work / "clip-singles", config.model_copy(update={"steps": schedule.clip_singles}))
    then = {"steps": schedule.clip_scenes, "start_from": f"local-dir:{first.model}", "weights_dtype": "fp16"}
    return train(scenes, work / "clip-scenes", config.model_copy(update=then)).model


def _shards(folder: Path, seeds: range, image_px: int, objects: int | None) -> list[Path]:
    whole = folder / "complete"
    if not whole.exists():
        write_model_shards(folder, seeds, image_px=image_px, objects=objects)
        whole.touch()
    return sorted(folder.glob("*.tar"))


def _texts() -> list[str]:
    scenes = [make_scene(seed) for seed in _SCENES[:_TOKENIZER_SCENES]]
    return list(
        itertools.chain.from_iterable(
            (caption(scene, 1), half_right(scene, 1), canonical_caption(scene)) for scene in scenes
        )
    )


def _install(model: Path, folder: Path, card: str) -> None:
    """Puts a model in its place, all of it or nothing."""
    fresh = folder.with_name(f"{folder.name}.new-{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(model, fresh)
    (fresh / "README.md").write_text(card, encoding="utf-8")
    for path in fresh.iterdir():
        path.chmod(0o644)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m jobs.sandbox.make_models", description=__doc__)
    defaults = Schedule()
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--work", type=Path, default=Path("runs/sandbox-models"), metavar="DIR")
    parser.add_argument("--clip-singles", type=int, default=defaults.clip_singles, metavar="STEPS")
    parser.add_argument("--clip-scenes", type=int, default=defaults.clip_scenes, metavar="STEPS")
    parser.add_argument("--captioner", type=int, default=defaults.captioner, metavar="STEPS")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    torch.set_num_threads(os.cpu_count() or 1)
    schedule = Schedule(chosen.clip_singles, chosen.clip_scenes, chosen.captioner)
    make_models(chosen.out, chosen.work, schedule)
    return 0


if __name__ == "__main__":
    sys.exit(main())
