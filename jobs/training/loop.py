"""The training loop of one process."""

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from curation.errors import RecipeError
from jobs.training.captioning import CaptioningObjective
from jobs.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from jobs.training.config import TrainConfig
from jobs.training.contrastive import ContrastiveObjective
from jobs.training.data import BatchLoader
from jobs.training.model import (
    Untrained,
    build_captioner,
    build_dual_encoder,
    export_captioner,
    export_dual_encoder,
    load_image_tower,
)
from jobs.training.optimizer import learning_rate_at, make_optimizer
from jobs.training.streams import list_shards

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainResult:
    """What a training came to.

    Attributes:
        model: folder of the exported model.
        metrics: the JSONL file with a line for every `log_every` steps.
        steps: steps taken in all.
        loss: of the last step.
        seconds: of this call's steps.
        samples_per_s: of this call, over all processes.
    """

    model: Path
    metrics: Path
    steps: int
    loss: float
    seconds: float
    samples_per_s: float


def train(
    shards: str | Path | Sequence[str | Path], out: Path, config: TrainConfig
) -> TrainResult:
    """Trains a model in this process, or goes on where an earlier call in `out` stopped.

    Args:
        shards: a folder of WebDataset tars, one tar, or a list of them.
        out: gets `model/`, `checkpoints/`, `metrics.jsonl` and `config.json`.
        config: what to train.

    Raises:
        RecipeError: if there are no shards, or `out` holds a training with other settings.
    """
    return run_loop(list_shards(shards), out, config)


def run_loop(
    shards: Sequence[str], out: Path, config: TrainConfig
) -> TrainResult:
    out.mkdir(parents=True, exist_ok=True)
    if config.compute_threads:
        torch.set_num_threads(config.compute_threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(config.seed)
    built = build_dual_encoder(config) if config.objective=="contrastive" else build_captioner(config)
    if config.image_tower_from:
        load_image_tower(built.model, Path(config.image_tower_from))
    objective: Any = ContrastiveObjective(built.model, built.mean, built.std) if config.objective=="contrastive" else CaptioningObjective(built.model, built.mean, built.std, 0)
    objective.to(device).train()
    optimizer = make_optimizer(objective, config)
    loader = BatchLoader(shards, config, image_size=built.image_size, tokenize=built.tokenize)
    progress = load_checkpoint(out / "checkpoints", objective, optimizer) or Progress(
        0, loader.start_positions()
    )
    start = time.monotonic()
    loss = torch.zeros(())
    batches = loader.batches(progress.positions)
    with (out / "metrics.jsonl").open("a") as metrics, contextlib.closing(batches):
        for step in range(progress.step, config.steps):
            batch = next(batches)
            waited = time.monotonic()
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(step, config)
            with _precision(config, device):
                loss = objective(batch.images.to(device), batch.tokens.to(device), batch.negatives)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(objective.parameters(), config.max_gradient_norm or 1e9)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            objective.after_step()
            if (step + 1) % config.log_every == 0 or step + 1 == config.steps:
                took = time.monotonic() - start
                line = {"step": step + 1, "loss": float(loss), "norm": float(norm), "lr": optimizer.param_groups[0]["lr"],
                    "seconds": round(took, 2), "samples_per_s": round((step + 1 - progress.step) * config.batch_size / took, 1)}
                metrics.write(json.dumps(line) + "\n")
                metrics.flush()
            if (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps:
                save_checkpoint(out / "checkpoints", objective, optimizer, Progress(step + 1, batch.positions))
    took = time.monotonic() - start
    export = export_dual_encoder if config.objective=="contrastive" else export_captioner
    export(built, out / "model", half=config.weights_dtype == "fp16")
    return TrainResult(out / "model", out / "metrics.jsonl", config.steps, float(loss), took, 0.0)


@contextlib.contextmanager
def _precision(config: TrainConfig, device: torch.device) -> Iterator[None]:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    if config.precision == "fp32":
        yield
        return
    with torch.autocast(device.type, torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
        yield
