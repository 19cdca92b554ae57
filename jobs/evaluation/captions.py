"""How exact captions are: whether they name the true (colour, shape) pairs and nothing else."""

from collections import Counter
from collections.abc import Iterable, Sequence

from jobs.sandbox.captions import named_pairs

Pair = tuple[str, str]


def exact_caption_share(texts: Sequence[str], truths: Sequence[Iterable[Pair]]) -> float:
    """Returns the share of texts that name exactly the true pairs, each as often as it is there.

    Args:
        texts: captions.
        truths: for each the (colour, shape) of every object in its picture.

    Raises:
        ValueError: if there are no texts, or not as many as truths.
    """
    if not texts:
        raise ValueError("no captions to judge")
    right = sum(
        named_pairs(text) == Counter(tuple(pair) for pair in truth) for text, truth in zip(texts, truths, strict=True)
    )
    return right / len(texts)
