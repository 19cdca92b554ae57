"""The architectures of this package: compact models for pictures of 64 by 64 pixels."""

from copy import deepcopy
from dataclasses import asdict
from typing import Any

from curation.errors import RecipeError
from curation.models.suggestions import nearest

LOCAL_TOKENIZER = "local"
"""Stands for the tokenizer in the model's own folder."""

CAPTION_LENGTH = 32
"""Tokens of a caption that captioners learn, the two at its ends included."""

_TEXT = {
    "context_length": 32,
    "vocab_size": 320,
    "hf_tokenizer_name": LOCAL_TOKENIZER,
    "pool_type": "eos",
    "eos_id": 3,
    "pad_id": 0,
}
PREPROCESS: dict[str, Any] = {
    "size": 64,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}

_DUAL_ENCODERS: dict[str, dict[str, Any]] = {
    "tiny-clip": {
        "embed_dim": 128,
        "vision_cfg": {"image_size": 64, "layers": [2, 2, 2, 2], "width": 16, "head_width": 64},
        "text_cfg": {**_TEXT, "width": 128, "heads": 2, "layers": 3},
    },
    "tiny-vit": {
        "embed_dim": 128,
        "vision_cfg": {
            "image_size": 64,
            "patch_size": 8,
            "width": 128,
            "layers": 4,
            "head_width": 64,
            "pool_type": "avg",
        },
        "text_cfg": {**_TEXT, "width": 128, "heads": 2, "layers": 3},
    },
}

_CAPTIONERS: dict[str, dict[str, Any]] = {
    "tiny-captioner": {
        "image_size": 64,
        "encoder": {
            # XCiT: a stem of three convolutions and a depthwise one in each layer. A plain vision
            # transformer of this size needs ten times the samples until it sees shapes.
            "architecture": "xcit_nano_12_p8_224",
            "model_args": {
                "embed_dim": 128,
                "depth": 4,
                "num_heads": 4,
                "cls_attn_layers": 1,
                "img_size": 64,
            },
            "hidden_size": 128,
        },
        "decoder": {
            "hidden_size": 128,
            "intermediate_size": 512,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "max_position_embeddings": 64,
        },
    },
}


def dual_encoder_config(name: str) -> dict[str, Any]:
    """Returns what `open_clip_config.json` says of an architecture: `model_cfg`, `preprocess_cfg`.

    Raises:
        RecipeError: if neither this package nor open_clip knows the name.
    """
    if name in _DUAL_ENCODERS:
        return deepcopy({"model_cfg": _DUAL_ENCODERS[name], "preprocess_cfg": PREPROCESS})
    from open_clip import get_model_config, list_models
    from open_clip.transform import PreprocessCfg

    config = get_model_config(name) if ":" not in name else None
    if config is None:
        known = [*_DUAL_ENCODERS, *list_models()]
        raise RecipeError(f"model: no architecture is called {name!r}{nearest(name, known)}")
    preprocess = asdict(PreprocessCfg(size=config["vision_cfg"].get("image_size", 224)))
    return {"model_cfg": config, "preprocess_cfg": preprocess}


def captioner_config(name: str) -> dict[str, Any]:
    """Returns the settings of a captioner: `image_size`, `encoder` (timm), `decoder` (BERT).

    Raises:
        RecipeError: if no architecture has the name.
    """
    if name not in _CAPTIONERS:
        raise RecipeError(
            f"model: no captioner is called {name!r}{nearest(name, _CAPTIONERS)} (there are {', '.join(_CAPTIONERS)})"
        )
    return deepcopy(_CAPTIONERS[name])
