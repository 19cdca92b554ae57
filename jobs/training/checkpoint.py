"""Checkpoints: a folder with all that a training needs to go on exactly as if never stopped."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from curation.errors import CorruptionError
from jobs.training.streams import Position

_WEIGHTS, _STATE, _META = "weights.safetensors", "optimizer.pt", "checkpoint.json"


@dataclass(frozen=True)
class Progress:
    """Where a training stands.

    Attributes:
        step: optimizer steps taken.
        positions: of all streams, in the order of their numbers.
        loss: of the last step.
    """

    step: int
    positions: tuple[Position, ...]
    loss: float


def save_checkpoint(folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> Path:
    """Writes `step-NNNNNNN` in `folder` and then deletes older ones.

    A checkpoint appears under its name only once all of it is on the disk.
    """
    final = folder / f"step-{progress.step:07d}"
    unfinished = folder / f".{final.name}.{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    weights = {name: value.contiguous() for name, value in _unshared(module).items()}
    save_file(weights, str(unfinished / _WEIGHTS))
    state = {"optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda_rng"] = torch.cuda.get_rng_state()
    torch.save(state, unfinished / _STATE)
    (unfinished / _META).write_text(json.dumps(asdict(progress)))
    for path in unfinished.iterdir():
        with path.open("rb") as written:
            os.fsync(written.fileno())
    shutil.rmtree(final, ignore_errors=True)
    unfinished.rename(final)
    for other in _all_in(folder):
        if other != final:
            shutil.rmtree(other)
    return final


def load_checkpoint(folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> Progress | None:
    """Restores the newest checkpoint in `folder`; returns None if there is none.

    Raises:
        CorruptionError: if a checkpoint cannot be read or belongs to another model.
    """
    found = _all_in(folder)
    if not found:
        return None
    newest = found[-1]
    try:
        weights = load_file(str(newest / _WEIGHTS))
        state: dict[str, Any] = torch.load(newest / _STATE, map_location="cpu", weights_only=True)
        meta = json.loads((newest / _META).read_text())
        missing = module.load_state_dict(weights, strict=False)
        if missing.unexpected_keys or set(missing.missing_keys) - _shared_names(module):
            raise ValueError(f"weights of another model: {missing}")
        optimizer.load_state_dict(state["optimizer"])
    except Exception as error:
        raise CorruptionError(
            f"{newest}: not a checkpoint of this training ({error}); delete it or choose another output folder"
        ) from error
    torch.set_rng_state(state["rng"])
    if "cuda_rng" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda_rng"])
    positions = tuple(Position(**position) for position in meta["positions"])
    return Progress(meta["step"], positions, meta["loss"])


def _all_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))


def _unshared(module: nn.Module) -> dict[str, torch.Tensor]:
    """Returns the state without second names of tied weights, which safetensors refuses."""
    shared = _shared_names(module)
    return {name: value for name, value in module.state_dict().items() if name not in shared}


def _shared_names(module: nn.Module) -> set[str]:
    seen: set[int] = set()
    shared = set()
    for name, value in module.state_dict(keep_vars=True).items():
        if value.numel() and value.data_ptr() in seen:
            shared.add(name)
        seen.add(value.data_ptr())
    return shared
