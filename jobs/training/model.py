"""Builds models from an architecture and writes them as folders that the rest of the world reads."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.models.references import EMBEDDED
from jobs.training.architectures import captioner_config, dual_encoder_config
from jobs.training.config import TrainConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"


@dataclass(frozen=True)
class Untrained:
    """A model with random weights and what its batches need.

    Attributes:
        model: an open_clip model or a transformers captioner.
        tokenizer: what belongs to it; saved with it.
        tokenize: n texts into an (n, context length) int64 tensor.
        image_size: sides of its images in pixels.
        mean: of each channel, for images scaled to 0..1.
        std: likewise.
        config: what was said about the architecture.
    """

    model: "nn.Module"
    tokenizer: Any
    tokenize: Callable[[list[str]], "Tensor"]
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    config: dict[str, Any]


def build_dual_encoder(config: TrainConfig) -> Untrained:
    """Builds an open_clip model with random weights; seed torch first."""
    import open_clip
    from open_clip.tokenizer import HFTokenizer

    described = dual_encoder_config(config.model)
    text = described["model_cfg"]["text_cfg"]
    tokenizer: Any
    if text.get("hf_tokenizer_name") == "local":
        folder = config.tokenizer or str(EMBEDDED["clip"])
        tokenizer = HFTokenizer(folder, context_length=text["context_length"])
        text["vocab_size"] = len(tokenizer.tokenizer)
    else:
        tokenizer = open_clip.get_tokenizer(config.model)
    model_config = {key: v for key, v in described["model_cfg"].items() if key != "custom_text"}
    custom = bool(described["model_cfg"].get("custom_text")) or "hf_model_name" in text
    model_class = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    preprocess = described["preprocess_cfg"]
    size = preprocess["size"]
    return Untrained(
        model=model_class(**model_config),
        tokenizer=tokenizer,
        tokenize=tokenizer,
        image_size=size if isinstance(size, int) else size[0],
        mean=tuple(preprocess["mean"]),
        std=tuple(preprocess["std"]),
        config=described,
    )


def build_captioner(config: TrainConfig) -> Untrained:
    """Builds a BLIP captioner with random weights; seed torch first."""
    from open_clip.tokenizer import HFTokenizer
    from transformers import BlipConfig, BlipForConditionalGeneration

    described = captioner_config(config.model)
    context = 32
    tokenizer = HFTokenizer(config.tokenizer or str(EMBEDDED["clip"]), context_length=context)
    described["text_config"]["vocab_size"] = len(tokenizer.tokenizer)
    preprocess = dual_encoder_config("tiny-clip")["preprocess_cfg"]
    return Untrained(
        model=BlipForConditionalGeneration(BlipConfig(**described)),
        tokenizer=tokenizer.tokenizer,
        tokenize=tokenizer,
        image_size=described["vision_config"]["image_size"],
        mean=tuple(preprocess["mean"]),
        std=tuple(preprocess["std"]),
        config=described,
    )


def export_dual_encoder(built: Untrained, folder: Path, *, half: bool) -> None:
    """Writes a folder that open_clip's `local-dir:` reads: config, weights, tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps(built.config, indent=2) + "\n")
    _save_weights(built.model, folder / WEIGHTS_FILE, half=half)
    if hasattr(built.tokenizer, "tokenizer"):
        built.tokenizer.save_pretrained(str(folder))


def export_captioner(built: Untrained, folder: Path, *, half: bool) -> None:
    """Writes a folder that transformers' `from_pretrained` reads: config, weights, processor."""
    import torch
    from transformers import BlipProcessor, CLIPImageProcessor

    folder.mkdir(parents=True, exist_ok=True)
    processor = BlipProcessor(
        CLIPImageProcessor(
            size={"shortest_edge": built.image_size},
            crop_size={"height": built.image_size, "width": built.image_size},
            image_mean=list(built.mean),
            image_std=list(built.std),
        ),
        built.tokenizer,
    )
    processor.save_pretrained(str(folder))
    from copy import deepcopy

    model: Any = deepcopy(built.model).to(torch.float16) if half else built.model
    model.save_pretrained(str(folder))


def load_image_tower(model: "nn.Module", folder: Path) -> None:
    """Starts a BLIP captioner's image tower from that of a dual encoder of the same shape."""
    from safetensors.torch import load_file

    weights = load_file(str(folder / WEIGHTS_FILE))
    tower = {
        name.removeprefix("visual."): value.float()
        for name, value in weights.items()
        if name.startswith("visual.")
    }
    renamed = {blip_name(name): value for name, value in tower.items() if name != "proj"}
    width = tower["class_embedding"].shape[0]
    renamed["embeddings.class_embedding"] = renamed["embeddings.class_embedding"].view(1, 1, width)
    renamed["embeddings.position_embedding"] = renamed["embeddings.position_embedding"][None]
    missing = model.get_submodule("vision_model").load_state_dict(renamed, strict=False)
    if missing.unexpected_keys or set(missing.missing_keys) - {"embeddings.patch_embedding.bias"}:
        raise ValueError(f"{folder}: its image tower has another shape: {missing}")


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


def blip_name(name: str) -> str:
    """Returns what BLIP calls a weight of open_clip's image tower."""
    for ours, theirs in _BLIP_PARTS:
        name = name.replace(ours, theirs)
    return name


def _save_weights(model: "nn.Module", path: Path, *, half: bool) -> None:
    import torch
    from safetensors.torch import save_file

    wanted = torch.float16 if half else torch.float32
    weights = {
        name: value.detach().to("cpu", wanted if value.is_floating_point() else value.dtype)
        for name, value in model.state_dict().items()
    }
    save_file({name: value.contiguous() for name, value in weights.items()}, str(path))
