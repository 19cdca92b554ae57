"""The training loop: of one process, or of one among several."""

import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TextIO

import torch
from torch import Tensor, nn

from curation.errors import RecipeError
from jobs.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from jobs.training.config import TrainConfig
from jobs.training.data import Batch, BatchLoader
from jobs.training.objectives import Task, make_task
from jobs.training.optimizer import learning_rate_at, make_optimizer
from jobs.training.precision import mixed_precision
from jobs.training.processes import Place, gather_positions, mean_over_processes
from jobs.training.streams import list_shards

_LOG = logging.getLogger(__name__)
_FREE_TO_CHANGE = {"log_every", "checkpoint_every", "compute_threads", "data.threads", "data.cache_mb"}


@dataclass(frozen=True)
class TrainResult:
    """What a training came to.

    Attributes:
        model: folder of the exported model; a URL where it lies in an object store.
        metrics: JSONL, a line for every `log_every` steps.
        steps: taken in all.
        loss: of the last step.
        seconds: that this call's steps took.
        samples_per_s: of this call, over all processes.
    """

    model: Path | str
    metrics: Path | str
    steps: int
    loss: float
    seconds: float
    samples_per_s: float


def train(
    shards: str | Path | Sequence[str | Path],
    out: Path,
    config: TrainConfig,
    *,
    stop_after: int | None = None,
    saved: Callable[[], None] | None = None,
) -> TrainResult:
    """Trains a model in this process, or goes on where an earlier call with this `out` stopped.

    Args:
        shards: a folder of WebDataset tars, one tar, or a list of them.
        out: gets `model/`, `checkpoints/`, `metrics.jsonl` and `config.json`.
        config: what to train.
        stop_after: stop after this step, with a checkpoint, as if interrupted.
        saved: called after each checkpoint.

    Raises:
        RecipeError: if there are no shards, or `out` holds a training with other settings.
        CorruptionError: if its checkpoint cannot be read.
    """
    found = list_shards(shards)
    claim_folder(out, config)
    return run_loop(found, out, config, Place.alone(), stop_after=stop_after, saved=saved)


def claim_folder(out: Path, config: TrainConfig) -> None:
    """Writes the configuration into `out`, unless a training with the same one is there.

    Raises:
        RecipeError: if there is one with other settings.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / "config.json"
    wanted = config.model_dump(mode="json")
    if path.is_file():
        before = json.loads(path.read_text())
        changed = sorted(_leaves(before).items() ^ _leaves(wanted).items())
        names = sorted({name for name, _ in changed} - _FREE_TO_CHANGE)
        if names:
            raise RecipeError(
                f"{out} holds a training with other settings ({', '.join(names)}): choose another "
                "folder, or delete it to begin again"
            )
    path.write_text(json.dumps(wanted, indent=2) + "\n")


def run_loop(
    shards: Sequence[str],
    out: Path,
    config: TrainConfig,
    place: Place,
    *,
    stop_after: int | None = None,
    saved: Callable[[], None] | None = None,
) -> TrainResult:
    """Takes the steps that are left; see `train`. Every process of a training calls this."""
    if config.compute_threads is not None and place.device.type == "cpu":
        torch.set_num_threads(config.compute_threads)
    task = make_task(config)
    # Convolutions are up to twice as fast with the channels last; other weights do not change.
    task.objective.to(device=place.device, memory_format=torch.channels_last).train()
    optimizer = make_optimizer(task.objective, config)
    sizes = {"image_size": task.built.image_size, "rank": place.rank, "world_size": place.world_size}
    loader = BatchLoader(shards, config, tokenize=task.built.tokenize, **sizes)
    checkpoints = out / "checkpoints"
    found = load_checkpoint(checkpoints, task.objective, optimizer)
    mine = found.positions[place.rank :: place.world_size] if found else loader.start_positions()
    steps = _Steps(task, optimizer, config, place)
    last = min(config.steps, stop_after or config.steps)
    first, loss = (found.step, found.loss) if found else (0, math.nan)
    with _Metrics(out / "metrics.jsonl", config, place, first) as metrics, closing(loader.batches(mine)) as batches:
        for step in range(first + 1, last + 1):
            batch = next(batches)
            of_step, norm = steps.take(step - 1, batch)
            if step % config.log_every == 0 or step == last:
                loss = mean_over_processes(of_step)
                metrics.write(step, loss, norm)
            if step % config.checkpoint_every == 0 or step == last:
                loss = mean_over_processes(of_step)
                progress = Progress(step, gather_positions(batch.positions), loss)
                if place.leads:
                    save_checkpoint(checkpoints, task.objective, optimizer, progress)
                    if saved is not None:
                        saved()
    if place.leads:
        task.export(out / "model", config)
    return TrainResult(
        model=out / "model",
        metrics=metrics.path,
        steps=max(first, last),
        loss=loss,
        seconds=metrics.seconds,
        samples_per_s=metrics.samples_per_s(last),
    )


class _Steps:
    """Takes optimizer steps."""

    def __init__(self, task: Task, optimizer: torch.optim.Optimizer, config: TrainConfig, place: Place) -> None:
        self._task = task
        self._module: Callable[..., Tensor] = place.wrap(task.objective)
        self._optimizer = optimizer
        self._config = config
        self._device = place.device

    def take(self, step: int, batch: Batch) -> tuple[Tensor, float]:
        """Returns the step's loss and the norm of its gradient."""
        rate = learning_rate_at(step, self._config)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        with mixed_precision(self._config, self._device):
            loss = self._module(*(self._moved(part) for part in (batch.images, batch.tokens, batch.negatives)))
        loss.backward()
        weights = self._task.objective.parameters()
        limit = self._config.max_gradient_norm
        norm = nn.utils.clip_grad_norm_(weights, limit if limit is not None else float("inf"))
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._task.objective.after_step()
        return loss.detach(), float(norm)

    def _moved(self, part: Any) -> Any:
        return None if part is None else part.to(self._device, non_blocking=True)


class _Metrics:
    """The JSONL file of a training, and its clock; only the leading process writes."""

    def __init__(self, path: Path, config: TrainConfig, place: Place, first: int) -> None:
        self.path = path
        self.seconds = 0.0
        self._config = config
        self._leads = place.leads
        self._first = first
        self._begin = time.monotonic()
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        self._file = self.path.open("a") if self._leads else None
        return self

    def __exit__(self, *exception: object) -> None:
        self.seconds = time.monotonic() - self._begin
        if self._file is not None:
            self._file.close()

    def write(self, step: int, loss: float, norm: float) -> None:
        """Adds a line about the step that was just taken, counted from 1."""
        self.seconds = time.monotonic() - self._begin
        if self._file is None:
            return
        line = {
            "step": step,
            "loss": loss,
            "gradient_norm": norm,
            "learning_rate": learning_rate_at(step - 1, self._config),
            "seconds": round(self.seconds, 2),
            "samples_per_s": round(self.samples_per_s(step), 1),
        }
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        _LOG.info("step %d of %d: loss %.4f", step, self._config.steps, loss)

    def samples_per_s(self, step: int) -> float:
        """Returns the samples taken up to a step in each second of this call."""
        taken = max(0, step - self._first) * self._config.batch_size
        return taken / self.seconds if self.seconds else 0.0


def _leaves(value: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, part in value.items():
        if isinstance(part, dict):
            found |= _leaves(part, f"{prefix}{name}.")
        else:
            found[prefix + name] = json.dumps(part)
    return found
