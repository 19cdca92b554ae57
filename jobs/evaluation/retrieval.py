"""Retrieval of texts by image and of images by text."""

import numpy as np

from jobs.evaluation.encoding import Embeddings
from jobs.evaluation.zero_shot import rank_of_right

_AT = (1, 5, 10)


def retrieval_recall(images: Embeddings, texts: Embeddings, pool: int | None = None) -> dict[str, float]:
    """Returns R@1, R@5 and R@10 in both directions: `i2t_r1` to `t2i_r10`.

    Args:
        images: (n, d) float32, normalised.
        texts: (n, d) float32, normalised; row i belongs to image i.
        pool: candidates for each query: the pairs are cut into groups of this size, a last
            incomplete one left out, and recalls are means over all groups. None takes all n.
    """
    size = min(pool or len(images), len(images))
    right = np.arange(size)
    by_image, by_text = [], []
    for start in range(0, len(images) - size + 1, size):
        scores = images[start : start + size] @ texts[start : start + size].T
        by_image.append(rank_of_right(scores, right))
        by_text.append(rank_of_right(scores.T, right))
    ranks = {"i2t": np.concatenate(by_image), "t2i": np.concatenate(by_text)}
    return {f"{way}_r{at}": float((found < at).mean()) for way, found in ranks.items() for at in _AT}
