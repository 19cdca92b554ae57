"""Starts a captioner's image tower from a dual encoder's, which knows what pictures show."""

from pathlib import Path

import torch
from torch import nn

from curation.errors import RecipeError
from jobs.training.export import WEIGHTS_FILE

_BLIP_PARTS = (
    ("class_embedding", "embeddings.class_embedding"),
    ("positional_embedding", "embeddings.position_embedding"),
    ("conv1.", "embeddings.patch_embedding."),
    ("transformer.resblocks.", "encoder.layers."),
    ("ln_post.", "post_layernorm."),
    (".ln_1.", ".layer_norm1."),
    (".ln_2.", ".layer_norm2."),
    (".attn.in_proj_", ".self_attn.qkv."),
    (".attn.out_proj.", ".self_attn.projection."),
    (".mlp.c_fc.", ".mlp.fc1."),
    (".mlp.c_proj.", ".mlp.fc2."),
)
_PREFIX = "visual."
_BIAS = "embeddings.patch_embedding.bias"


def load_image_tower(captioner: nn.Module, folder: Path) -> None:
    """Copies the image tower of an open_clip model into a BLIP captioner.

    Both are the same vision transformer, if open_clip's has no norm before its first layer, and
    BLIP's patches have a bias, which becomes 0.

    Args:
        captioner: a `BlipForConditionalGeneration`; changed.
        folder: an exported dual encoder.

    Raises:
        RecipeError: if there is no such model or its tower has another shape.
    """
    from safetensors.torch import load_file

    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise RecipeError(f"image_tower_from: {folder} has no {WEIGHTS_FILE}")
    tower = {
        _blip_name(name.removeprefix(_PREFIX)): value.float()
        for name, value in load_file(str(path)).items()
        if name.startswith(_PREFIX) and name != f"{_PREFIX}proj"
    }
    vision = captioner.get_submodule("vision_model")
    wanted = vision.state_dict()
    tower[_BIAS] = torch.zeros_like(wanted[_BIAS])
    for name, value in tower.items():
        if name in wanted and value.numel() == wanted[name].numel():
            tower[name] = value.view(wanted[name].shape)
    try:
        vision.load_state_dict(tower)
    except RuntimeError as error:
        raise RecipeError(
            f"image_tower_from: the image tower in {folder} has another shape than the "
            f"captioner's: {error}"
        ) from error


def _blip_name(name: str) -> str:
    """Returns what BLIP calls a weight of open_clip's image tower."""
    for ours, theirs in _BLIP_PARTS:
        name = name.replace(ours, theirs)
    return name
