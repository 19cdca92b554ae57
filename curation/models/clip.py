"""Loads dual encoders through open_clip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from curation.models.references import parse_reference

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class LoadedClip:
    """A dual encoder ready to encode.

    Attributes:
        model: open_clip's model in evaluation mode; has `encode_image` and `encode_text`.
        preprocess: a PIL image to a (3, image_size, image_size) float32 tensor.
        tokenizer: a list of n texts to an (n, context length) int64 tensor.
        embed_dim: length of its embeddings.
        image_size: sides of its images in pixels.
        device: where it is.
        precision: of its arithmetic.
    """

    model: Any
    preprocess: Callable[[Image], torch.Tensor]
    tokenizer: Callable[[list[str]], torch.Tensor]
    embed_dim: int
    image_size: int
    device: str
    precision: Precision


def load_clip(text: str, device: str = "cpu", precision: Precision = "fp32") -> LoadedClip:
    """Loads the dual encoder of a reference.

    Args:
        text: see `curation.models.references`.
        device: such as `cpu` or `cuda`.
        precision: of weights and arithmetic.

    Raises:
        RecipeError: if the reference has no known form.
    """
    import open_clip

    reference = parse_reference(text, "clip")
    if reference.scheme == "open_clip":
        name, tag = reference.name, reference.tag
    else:
        name, tag = f"{reference.scheme}:{reference.name}", None
    # With weights that were trained with this activation, as OpenAI's, and a name that does not ask for it, open_clip
    # builds another one and only warns: every score would be wrong.
    quick_gelu = bool(tag and open_clip.get_pretrained_cfg(name, tag).get("quick_gelu"))
    model, _, preprocess = open_clip.create_model_and_transforms(
        name, pretrained=tag, precision=precision, device=device, force_quick_gelu=quick_gelu, load_weights=True
    )
    model.eval()
    size = model.visual.image_size
    return LoadedClip(
        model=model,
        preprocess=preprocess,
        tokenizer=open_clip.get_tokenizer(name),
        embed_dim=int(open_clip.get_model_config(name)["embed_dim"]),
        image_size=int(size[0] if isinstance(size, tuple | list) else size),
        device=device,
        precision=precision,
    )
