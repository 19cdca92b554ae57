"""A copy detector small enough for tests: it sees an image as 4 x 4 pixels."""

import tempfile
from functools import cache
from pathlib import Path

import torch

_FOLDER = tempfile.TemporaryDirectory()


class _FourByFour(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)


@cache
def copy_model() -> str:
    """Path of its TorchScript file."""
    path = Path(_FOLDER.name) / "four_by_four.pt"
    torch.jit.script(_FourByFour()).save(str(path))
    return str(path)
