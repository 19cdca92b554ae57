"""A copy-detection model: TorchScript that turns an image into a vector near those of its copies, such as SSCD's.

Source: Pizzi et al., "A Self-Supervised Descriptor for Image Copy Detection" (CVPR 2022), whose models are published as
    TorchScript for images of 320 x 320 pixels, normalised as ImageNet's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.errors import RecipeError, first_line
from curation.images.delivered import UnreadableImageError, open_delivered

SIDE_PX = 320
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)


def check_model(path: str) -> None:
    """Whether there is such a file.

    Raises:
        RecipeError: There is none.
    """
    if not Path(path).is_file():
        raise RecipeError(
            f"model {path}: there is no such file; give the path of a TorchScript file of a copy detector"
        )


class CopyDescriptor:
    """A loaded model.

    Args:
        path: The TorchScript file.
        side_px: Width and height that images are brought to.
        batch_size: Images that go through at once; a smaller batch is filled up, so that neighbours change nothing.
        device: `cpu` or `cuda`.
    """

    def __init__(self, path: str, side_px: int, batch_size: int, device: str) -> None:
        import torch

        try:
            self._model: Any = torch.jit.load(path, map_location=device).eval()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            said = first_line(error)
            raise RecipeError(f"model {path}: cannot be loaded: {said}; it must be a TorchScript file") from error
        self._side_px = side_px
        self._batch_size = batch_size
        self._device = device

    def describe(self, images: Sequence[bytes | None]) -> npt.NDArray[np.float32]:
        """The vectors of encoded images: (n, d) float32; NaN where an image cannot be decoded."""
        results: list[npt.NDArray[np.float32]] = []
        for start in range(0, len(images), self._batch_size):
            results.append(self._batch(images[start : start + self._batch_size]))
        return np.concatenate(results) if results else np.zeros((0, 1), np.float32)

    def _batch(self, images: Sequence[bytes | None]) -> npt.NDArray[np.float32]:
        import torch

        pixels = np.zeros((self._batch_size, 3, self._side_px, self._side_px), np.float32)
        broken = []
        for place, image in enumerate(images):
            try:
                pixels[place] = self._preprocessed(image)
            except UnreadableImageError:
                broken.append(place)
        with torch.inference_mode():
            vectors = self._model(torch.from_numpy(pixels).to(self._device)).float().cpu().numpy()[: len(images)]
        vectors[broken] = np.nan
        return np.asarray(vectors, np.float32)

    def _preprocessed(self, image: bytes | None) -> npt.NDArray[np.float32]:
        picture = open_delivered(image).resize((self._side_px, self._side_px))
        return np.asarray((np.asarray(picture, np.float32) / 255 - _MEAN) / _STD, np.float32).transpose(2, 0, 1)
