"""Writes models as folders that the rest of the world reads."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from jobs.training.model import Untrained

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"


def export_dual_encoder(built: Untrained, folder: Path, dtype: torch.dtype) -> None:
    """Writes a folder that open_clip's `local-dir:` reads: config, weights, tokenizer."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps(built.config, indent=2) + "\n")
    weights = {
        name: value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype)
        for name, value in built.model.state_dict().items()
    }
    save_file({name: value.contiguous() for name, value in weights.items()}, str(folder / WEIGHTS_FILE))
    if hasattr(built.tokenizer, "save_pretrained"):
        built.tokenizer.save_pretrained(str(folder))


def export_captioner(built: Untrained, folder: Path, dtype: torch.dtype) -> None:
    """Writes a folder that transformers' `from_pretrained` reads: config, weights, processor."""
    from transformers import CLIPImageProcessor, TrOCRProcessor

    size = built.image_size
    images = CLIPImageProcessor(
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
        image_mean=list(built.mean),
        image_std=list(built.std),
    )
    folder.mkdir(parents=True, exist_ok=True)
    TrOCRProcessor(images, built.tokenizer).save_pretrained(str(folder))
    model: Any = deepcopy(built.model).to("cpu", dtype)
    model.save_pretrained(str(folder))
