"""The contrastive objective, over the images and texts of all processes."""

import contextlib
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

_MAX_LOG_SCALE = 4.6052
"""log(100), the limit of the CLIP paper."""


class ContrastiveObjective(nn.Module):
    """The loss of a dual encoder on a batch.

    Each image has to find its text among all texts of the batch, of all processes, and each text
    its image. Hard negatives are further texts that no image belongs to: wrong answers for images
    only.

    Source: Radford et al. 2021 (arXiv:2103.00020), section 2.3; hard negatives as Yuksekgonul et
    al. 2023 (arXiv:2210.01936), section 4, but without their hard negative images.
    """

    def __init__(
        self, model: nn.Module, mean: tuple[float, ...], std: tuple[float, ...], *, locked: bool = False
    ) -> None:
        """Wraps an open_clip model.

        Args:
            model: a dual encoder.
            mean: of each channel, for images scaled to 0..1.
            std: likewise.
            locked: leave the image tower as it is, batch statistics included. Source: Zhai et al.
                2022 (arXiv:2111.07991).
        """
        super().__init__()
        self.model = model
        self._locked = locked
        if locked:
            model.get_submodule("visual").requires_grad_(False)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1) * 255, persistent=False)

    def forward(self, images: Tensor, tokens: Tensor, negatives: Tensor | None) -> Tensor:
        """Returns the loss, a scalar, the same on all processes.

        Args:
            images: (n, size, size, 3) uint8.
            tokens: (n, context length) int64.
            negatives: (m, context length) int64 or None.
        """
        model: Any = self.model
        pixels = (images.permute(0, 3, 1, 2).float() - self.mean) / self.std
        texts = tokens if negatives is None else torch.cat([tokens, negatives])
        with torch.no_grad() if self._locked else contextlib.nullcontext():
            of_images = model.encode_image(pixels, normalize=True).float()
        of_texts = model.encode_text(texts, normalize=True).float()
        right, wrong = of_texts[: len(tokens)], of_texts[len(tokens) :]
        of_images, right, wrong = _gathered(of_images), _gathered(right), _gathered_any(wrong)
        scale = model.logit_scale.exp()
        return contrastive_loss(of_images, right, wrong, scale)

    def train(self, mode: bool = True) -> Self:
        """Sets the mode of all but a locked image tower."""
        super().train(mode)
        if self._locked:
            self.model.get_submodule("visual").eval()
        return self

    @torch.no_grad()
    def after_step(self) -> None:
        """Keeps the temperature within its bounds."""
        model: Any = self.model
        model.logit_scale.clamp_(0.0, _MAX_LOG_SCALE)


def contrastive_loss(images: Tensor, texts: Tensor, negatives: Tensor, scale: Tensor) -> Tensor:
    """Returns the mean of both directions' cross-entropies, a scalar.

    Args:
        images: (n, d) float, L2-normalised.
        texts: (n, d) float, L2-normalised; row i belongs to image i.
        negatives: (m, d) float, L2-normalised; belong to no image.
        scale: factor of the cosines.
    """
    labels = torch.arange(len(images), device=images.device)
    by_image = scale * images @ torch.cat([texts, negatives]).T
    by_text = scale * texts @ images.T
    both = functional.cross_entropy(by_image, labels) + functional.cross_entropy(by_text, labels)
    return both / 2


def _gathered(rows: Tensor) -> Tensor:
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return rows
    from torch.distributed.nn.functional import all_gather

    return torch.cat(tuple(all_gather(rows)))


def _gathered_any(rows: Tensor) -> Tensor:
    """Gathers rows whose number may differ between processes."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return rows
    counts = [torch.zeros(1, dtype=torch.int64) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, torch.tensor([len(rows)]))
    most = int(max(counts))
    padded = functional.pad(rows, (0, 0, 0, most - len(rows)))
    parts = _gathered(padded).view(len(counts), most, rows.shape[1])
    return torch.cat([part[: int(count)] for part, count in zip(parts, counts, strict=True)])
