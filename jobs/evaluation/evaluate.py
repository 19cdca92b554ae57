"""Evaluates a dual encoder on a folder of shards."""

from pathlib import Path
from typing import Any

import numpy as np

from curation.errors import RecipeError
from curation.models.clip import LoadedClip, Precision, load_clip
from curation.models.references import check_reference
from jobs.evaluation.data import CLASSES_FILE, ClassList, EvaluationSample, read_classes, read_samples
from jobs.evaluation.encoding import Embeddings, embed_images, embed_texts
from jobs.evaluation.retrieval import retrieval_recall
from jobs.evaluation.separation import area_under_curve
from jobs.evaluation.zero_shot import class_embeddings, zero_shot_accuracy


def evaluate(
    model: str,
    data: str | Path,
    *,
    classes: ClassList | None = None,
    pool: int | None = 100,
    limit: int | None = None,
    batch_size: int = 128,
    device: str = "cpu",
    precision: Precision = "fp32",
) -> dict[str, Any]:
    """Returns a dual encoder's figures on an evaluation set.

    Samples with a `.cls` are classified, those without one are retrieved.

    Args:
        model: a reference; see `curation.models.references`.
        data: a folder of WebDataset tars, or one tar, on this machine or in an object store.
        classes: what to choose from; by default the `classes.json` beside the tars.
        pool: candidates in retrieval; None takes all samples.
        limit: the most samples to read.
        batch_size: samples encoded at once.
        device: such as `cpu` or `cuda`.
        precision: of the encoding.

    Returns:
        `model`, `samples` and, where there are such samples, `zero_shot` (`top1`, `top5`,
        `samples`, `classes`) and `retrieval` (`i2t_r1` to `t2i_r10`, `mismatch_auc`: how often a
        right pair scores above a wrong one, `samples`, `pool`).

    Raises:
        RecipeError: if the model or the data do not exist, or classes are missing.
    """
    check_reference(model, "clip")
    samples = list(read_samples(data, limit))
    if not samples:
        raise RecipeError(f"{data}: no sample has a readable image")
    labelled = [sample for sample in samples if sample.label is not None]
    described = [sample for sample in samples if sample.label is None]
    chosen = classes or read_classes(str(data).rpartition("/")[0] if str(data).endswith(".tar") else data)
    if labelled and chosen is None:
        raise RecipeError(f"{data}: samples have classes but there is no {CLASSES_FILE} beside them")
    clip = load_clip(model, device, precision)
    figures: dict[str, Any] = {"model": model, "samples": len(samples)}
    if labelled and chosen is not None:
        figures["zero_shot"] = _zero_shot(clip, labelled, chosen, batch_size)
    if described:
        figures["retrieval"] = _retrieval(clip, described, pool, batch_size)
    return figures


def _zero_shot(clip: LoadedClip, samples: list[EvaluationSample], chosen: ClassList, batch_size: int) -> dict[str, Any]:
    images = embed_images(clip, [sample.image for sample in samples], batch_size)
    embedded = class_embeddings(clip, chosen, batch_size)
    labels = [sample.label for sample in samples if sample.label is not None]
    accuracy = zero_shot_accuracy(images, embedded, labels)
    return {**accuracy, "samples": len(samples), "classes": len(chosen.classes)}


def _retrieval(clip: LoadedClip, samples: list[EvaluationSample], pool: int | None, batch_size: int) -> dict[str, Any]:
    images = embed_images(clip, [sample.image for sample in samples], batch_size)
    texts = embed_texts(clip, [sample.caption for sample in samples], batch_size)
    figures: dict[str, Any] = dict(retrieval_recall(images, texts, pool))
    if len(samples) > 1:
        figures["mismatch_auc"] = area_under_curve(_scores(images, texts), _scores(images, texts, 1))
    return {**figures, "samples": len(samples), "pool": min(pool or len(samples), len(samples))}


def _scores(images: Embeddings, texts: Embeddings, shift: int = 0) -> Embeddings:
    return np.asarray((images * np.roll(texts, shift, axis=0)).sum(axis=1), np.float32)
