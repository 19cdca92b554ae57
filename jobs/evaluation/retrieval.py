"""Retrieval of texts by image and of images by text."""

import numpy as np

from jobs.evaluation.encoding import Embeddings
from jobs.evaluation.zero_shot import rank_of_right

_AT = (1, 5, 10)


def retrieval_recall(images: Embeddings, texts: Embeddings, pool: int | None) -> dict[str, float]:
    """Returns R@1, R@5 and R@10 in both directions: `i2t_r1`, ..., `t2i_r10`.

    Args:
        images: (n, d) float32, normalised.
        texts: (n, d) float32, normalised; row i belongs to image i.
        pool: candidates for each query: the n pairs are cut into groups of this size, the last
            incomplete one left out, and the recalls are means over groups. None takes all n.
    """
    size = min(pool or len(images), len(images))
    ranks: dict[str, list[np.ndarray]] = {"i2t": [], "t2i": []}
    for start in range(0, len(images) - size + 1, size):
        scores = images[start : start + size] @ texts[start : start + size].T
        right = np.arange(size)
        ranks["i2t"].append(rank_of_right(scores, right))
        ranks["t2i"].append(rank_of_right(scores.T, right))
    joined = {way: np.concatenate(parts) for way, parts in ranks.items()}
    return {
        f"{way}_r{at}": float((found < at).mean()) for way, found in joined.items() for at in _AT
    }
