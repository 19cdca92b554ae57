"""Puts together what a configuration trains: the model, its objective, how it is exported."""

from dataclasses import dataclass
from pathlib import Path

import torch

from jobs.training.captioning import CaptioningObjective
from jobs.training.config import TrainConfig
from jobs.training.contrastive import ContrastiveObjective
from jobs.training.export import export_captioner, export_dual_encoder
from jobs.training.model import Untrained, build_captioner, build_dual_encoder
from jobs.training.start import load_image_tower, load_start

Objective = ContrastiveObjective | CaptioningObjective


@dataclass(frozen=True)
class Task:
    """A model and what it is trained for."""

    built: Untrained
    objective: Objective

    def export(self, folder: Path, config: TrainConfig) -> None:
        """Writes the model as it is now."""
        dtype = torch.float16 if config.weights_dtype == "fp16" else torch.float32
        if isinstance(self.objective, ContrastiveObjective):
            export_dual_encoder(self.built, folder, dtype)
        else:
            export_captioner(self.built, folder, dtype)


def make_task(config: TrainConfig) -> Task:
    """Builds a task whose first weights depend on nothing but the configuration.

    Raises:
        RecipeError: if the model or what it starts from does not exist.
    """
    torch.manual_seed(config.seed)
    contrastive = config.objective == "contrastive"
    built = build_dual_encoder(config) if contrastive else build_captioner(config)
    if config.start_from is not None:
        load_start(built.model, config.start_from)
    if config.image_tower_from is not None:
        load_image_tower(built.model, config.image_tower_from)
    if contrastive:
        locked = config.lock_image_tower
        return Task(built, ContrastiveObjective(built.model, built.mean, built.std, locked=locked))
    padding = int(built.tokenizer.pad_token_id)
    return Task(built, CaptioningObjective(built.model, built.mean, built.std, padding))
