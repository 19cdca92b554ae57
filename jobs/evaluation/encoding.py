"""Embeds images and texts in batches."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from curation.models.clip import LoadedClip

Embeddings = NDArray[np.float32]


def embed_images(clip: LoadedClip, images: Sequence[Image.Image], batch_size: int) -> Embeddings:
    """Returns (n, d) float32, L2-normalised."""
    parts = [np.zeros((0, clip.embed_dim), np.float32)]
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            pixels = torch.stack([clip.preprocess(i) for i in images[start : start + batch_size]])
            wanted = next(clip.model.parameters()).dtype
            found = clip.model.encode_image(pixels.to(clip.device, wanted), normalize=True)
            parts.append(found.float().cpu().numpy())
    return np.concatenate(parts)


def embed_texts(clip: LoadedClip, texts: Sequence[str], batch_size: int) -> Embeddings:
    """Returns (n, d) float32, L2-normalised."""
    parts = [np.zeros((0, clip.embed_dim), np.float32)]
    with torch.inference_mode():
        for start in range(0, len(texts), batch_size):
            tokens = clip.tokenizer(list(texts[start : start + batch_size]))
            found = clip.model.encode_text(tokens.to(clip.device), normalize=True)
            parts.append(found.float().cpu().numpy())
    return np.concatenate(parts)
