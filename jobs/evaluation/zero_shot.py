"""Zero-shot classification with prompt templates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curation.errors import RecipeError
from curation.models.clip import LoadedClip
from jobs.evaluation.data import ClassList
from jobs.evaluation.encoding import Embeddings, embed_texts


@dataclass(frozen=True, slots=True)
class ZeroShot:
    """How often the right class came first, and among the first five."""

    top1: float
    top5: float
    samples: int
    classes: int


def class_embeddings(clip: LoadedClip, chosen: ClassList, batch_size: int) -> Embeddings:
    """Returns each class's mean embedding over the templates, (classes, d) float32, normalised.

    Source: Radford et al. 2021 (arXiv:2103.00020), section 3.1.4.
    """
    prompts = [form.replace("{}", name) for name in chosen.classes for form in chosen.templates]
    embedded = embed_texts(clip, prompts, batch_size)
    means = embedded.reshape(len(chosen.classes), len(chosen.templates), -1).mean(axis=1)
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), np.float32)


def classify(
    images: Embeddings, classes: Embeddings, names: Sequence[str], labels: Sequence[str]
) -> ZeroShot:
    """Counts right answers.

    Args:
        images: (n, d) float32, normalised.
        classes: (c, d) float32, normalised.
        names: of the c classes.
        labels: the right name for each of the n images.

    Raises:
        RecipeError: if a label is not among the names.
    """
    number = {name: at for at, name in enumerate(names)}
    unknown = sorted(set(labels) - set(number))
    if unknown:
        raise RecipeError(f"{len(unknown)} labels are not among the classes, such as {unknown[0]!r}")
    right = np.array([number[label] for label in labels], dtype=np.int64)
    ranks = rank_of_right(images @ classes.T, right)
    return ZeroShot(
        top1=float((ranks < 1).mean()),
        top5=float((ranks < 5).mean()),
        samples=len(labels),
        classes=len(names),
    )


def rank_of_right(scores: Embeddings, right: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Returns at which place, from 0, each row's right column is; ties count as lost."""
    own = scores[np.arange(len(scores)), right]
    return np.asarray((scores >= own[:, None]).sum(axis=1) - 1)
