import io

import numpy as np
import pytest
from PIL import Image

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]", "a", "photo", "of", "red", "blue", "circle"]
WORDS += ["square", "and", "!"]
SIDES = {"hidden_size": 32, "intermediate_size": 64, "projection_dim": 16, "num_hidden_layers": 1}


@pytest.fixture(scope="session")
def captioner_folder(tmp_path_factory):
    """A captioner with random weights, as transformers keeps it in a folder."""
    import torch
    from transformers import (
        BertTokenizerFast,
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessor,
        BlipProcessor,
    )

    folder = tmp_path_factory.mktemp("captioner")
    tokenizer = BertTokenizerFast(vocab={word: number for number, word in enumerate(WORDS)})
    tokenizer.add_special_tokens({"bos_token": "[DEC]", "additional_special_tokens": ["[ENC]"]})
    BlipProcessor(BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer).save_pretrained(folder)
    tokens = {"bos_token_id": 5, "eos_token_id": 3, "pad_token_id": 0, "sep_token_id": 3}
    text = {"vocab_size": len(WORDS), "encoder_hidden_size": 32, "max_position_embeddings": 64, **tokens}
    config = BlipConfig(
        text_config={**SIDES, **text, "num_attention_heads": 2},
        vision_config={**SIDES, "num_attention_heads": 2, "image_size": 32, "patch_size": 8},
        projection_dim=16,
        image_text_hidden_size=16,
        initializer_range=0.3,
    )
    torch.manual_seed(1)
    model = BlipForConditionalGeneration(config)
    with torch.no_grad():
        # It never stops by itself, nor says a sign that is no word.
        model.text_decoder.cls.predictions.bias[[*range(7), 15]] = -1e4
    model.save_pretrained(folder)
    return folder


def encoded(seed, kind="JPEG"):
    """A picture with soft structure, different for every seed."""
    rough = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(rough).resize((48, 40), Image.Resampling.BICUBIC).save(file, kind)
    return file.getvalue()


@pytest.fixture
def picture():
    return encoded
