"""The captioning objective: say the caption, word by word."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_IGNORED = -100


class CaptioningObjective(nn.Module):
    """The mean cross-entropy of a captioner's next tokens, given the image and those before."""

    def __init__(self, model: nn.Module, mean: tuple[float, ...], std: tuple[float, ...], padding: int) -> None:
        """Wraps a transformers captioner; `padding` is its tokenizer's padding id."""
        super().__init__()
        self.model = model
        self._padding = padding
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1) * 255, persistent=False)

    def forward(self, images: Tensor, tokens: Tensor, negatives: Tensor | None) -> Tensor:
        """Returns the loss, a scalar.

        Args:
            images: (n, size, size, 3) uint8.
            tokens: (n, context length) int64, between start and end.
            negatives: not looked at.
        """
        del negatives
        model: Any = self.model
        pixels = (images.permute(0, 3, 1, 2).float() - self.mean) / self.std
        longest = int((tokens != self._padding).sum(1).max())
        tokens = tokens[:, :longest]
        right = tokens[:, 1:].masked_fill(tokens[:, 1:] == self._padding, _IGNORED)
        # Padding lies behind all real tokens, where a causal model does not see it: no mask.
        logits = model(pixel_values=pixels, decoder_input_ids=tokens[:, :-1]).logits.float()
        return functional.cross_entropy(logits.flatten(0, 1), right.flatten())

    def after_step(self) -> None:
        """Does nothing: no weight has bounds."""
