"""Builds models with random weights."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from curation.models.references import EMBEDDED
from jobs.training.architectures import (
    CAPTION_LENGTH,
    LOCAL_TOKENIZER,
    PREPROCESS,
    captioner_config,
    dual_encoder_config,
)
from jobs.training.config import TrainConfig


@dataclass(frozen=True)
class Untrained:
    """A model and what its batches need.

    Attributes:
        model: an open_clip model or a transformers captioner.
        tokenizer: saved with the model.
        tokenize: n texts to an (n, context length) int64 tensor.
        image_size: sides of its images in pixels.
        mean: of each channel, for images scaled to 0..1.
        std: likewise.
        config: what `open_clip_config.json` says of a dual encoder; empty for a captioner.
    """

    model: nn.Module
    tokenizer: Any
    tokenize: Callable[[list[str]], Tensor]
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    config: dict[str, Any]


def build_dual_encoder(config: TrainConfig) -> Untrained:
    """Builds an open_clip model.

    Raises:
        RecipeError: if there is no such architecture.
    """
    import open_clip
    from open_clip.tokenizer import HFTokenizer

    described = dual_encoder_config(config.model)
    model_config, preprocess = described["model_cfg"], described["preprocess_cfg"]
    text = model_config["text_cfg"]
    tokenizer: Any
    if text.get("hf_tokenizer_name") == LOCAL_TOKENIZER:
        tokenizer = HFTokenizer(_tokenizer_folder(config), context_length=text["context_length"])
        text["vocab_size"] = len(tokenizer.tokenizer)
    else:
        tokenizer = open_clip.get_tokenizer(config.model)
    custom = model_config.get("custom_text") or "hf_model_name" in text
    model_class = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    arguments = {name: value for name, value in model_config.items() if name != "custom_text"}
    size = preprocess["size"]
    return Untrained(
        model=model_class(**arguments),
        tokenizer=tokenizer,
        tokenize=tokenizer,
        image_size=size if isinstance(size, int) else size[0],
        mean=tuple(preprocess["mean"]),
        std=tuple(preprocess["std"]),
        config=described,
    )


def build_captioner(config: TrainConfig) -> Untrained:
    """Builds a captioner: an image encoder of timm and a BERT that looks at what it found.

    Raises:
        RecipeError: if there is no such architecture.
    """
    from open_clip.tokenizer import HFTokenizer
    from transformers import (
        BertConfig,
        TimmWrapperConfig,
        VisionEncoderDecoderConfig,
        VisionEncoderDecoderModel,
    )

    described = captioner_config(config.model)
    tokenizer = HFTokenizer(_tokenizer_folder(config), context_length=CAPTION_LENGTH)
    words = tokenizer.tokenizer
    special = {
        "pad_token_id": words.pad_token_id,
        "bos_token_id": words.cls_token_id,
        "eos_token_id": words.sep_token_id,
    }
    encoder = TimmWrapperConfig(do_pooling=False, num_labels=0, **described["encoder"])
    decoder = BertConfig(
        vocab_size=len(words),
        is_decoder=True,
        add_cross_attention=True,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **special,
        **described["decoder"],
    )
    both = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    for name, value in special.items():
        setattr(both, name, value)
    both.decoder_start_token_id = words.cls_token_id
    return Untrained(
        model=VisionEncoderDecoderModel(both),
        tokenizer=words,
        tokenize=tokenizer,
        image_size=described["image_size"],
        mean=tuple(PREPROCESS["mean"]),
        std=tuple(PREPROCESS["std"]),
        config={},
    )


def _tokenizer_folder(config: TrainConfig) -> str:
    return config.tokenizer or str(EMBEDDED["clip"])
