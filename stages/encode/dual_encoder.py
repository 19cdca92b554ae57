"""Unit vectors of images and texts, from a dual encoder, in batches of one size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    from curation.models.clip import LoadedClip

Vectors = NDArray[np.float32]


class DualEncoder:
    """Encodes batches of up to `batch_size`, each filled up to exactly that.

    A processor sums up in another order for another shape, so only with one shape are the vectors of a row the same
    whatever rows stand beside it.
    """

    def __init__(self, clip: LoadedClip, batch_size: int) -> None:
        from open_clip import get_input_dtype

        self._clip = clip
        self._batch_size = batch_size
        self._dtype = get_input_dtype(clip.precision)

    def encode_images(self, pixels: Sequence[torch.Tensor]) -> Vectors:
        """The vectors of preprocessed images: (n, embed_dim), L2-normalised; not finite where the model's were not."""
        import torch

        batch = torch.stack([*pixels, *[pixels[-1]] * (self._batch_size - len(pixels))])
        batch = batch.to(device=self._clip.device, dtype=self._dtype, non_blocking=True)
        with torch.inference_mode():
            return _unit_vectors(self._clip.model.encode_image(batch), len(pixels))

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """The vectors of texts: (n, embed_dim), L2-normalised; not finite where the model's were not."""
        import torch

        padded = [*texts, *[""] * (self._batch_size - len(texts))]
        tokens = self._clip.tokenizer(padded).to(self._clip.device)
        with torch.inference_mode():
            return _unit_vectors(self._clip.model.encode_text(tokens), len(texts))


def _unit_vectors(features: Any, count: int) -> Vectors:
    vectors = features[:count].float().cpu().numpy()
    with np.errstate(all="ignore"):
        # A vector of zeros has no direction: it becomes NaN, and its row fails like any other that is not finite.
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
