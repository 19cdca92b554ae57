"""Zero-shot classification with prompt templates."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from curation.errors import RecipeError
from curation.models.clip import LoadedClip
from jobs.evaluation.data import ClassList
from jobs.evaluation.encoding import Embeddings, embed_texts


def class_embeddings(clip: LoadedClip, chosen: ClassList, batch_size: int) -> Embeddings:
    """Returns each class's mean embedding over the templates, (classes, d) float32, normalised.

    Source: Radford et al. 2021 (arXiv:2103.00020), section 3.1.4.
    """
    prompts = [form.replace("{}", name) for name in chosen.classes for form in chosen.templates]
    embedded = embed_texts(clip, prompts, batch_size)
    means = embedded.reshape(len(chosen.classes), len(chosen.templates), -1).mean(axis=1)
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), np.float32)


def zero_shot_accuracy(images: Embeddings, classes: Embeddings, labels: Sequence[int]) -> dict[str, float]:
    """Returns how often the right class came first (`top1`) and among the first five (`top5`).

    Args:
        images: (n, d) float32, normalised.
        classes: (c, d) float32, normalised.
        labels: the right class of each of the n images, 0 to c - 1.

    Raises:
        RecipeError: if a label has no class.
    """
    right = np.asarray(labels, np.int64)
    if right.min() < 0 or right.max() >= len(classes):
        raise RecipeError(f"labels run from {right.min()} to {right.max()}, but there are {len(classes)} classes")
    ranks = rank_of_right(images @ classes.T, right)
    return {"top1": float((ranks < 1).mean()), "top5": float((ranks < 5).mean())}


def rank_of_right(scores: Embeddings, right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns at which place, from 0, each row's right column is; ties count as lost."""
    own = scores[np.arange(len(scores)), right]
    return np.asarray((scores >= own[:, None]).sum(axis=1) - 1, np.int64)
