"""Chooses the texts of a sample."""

import json
from typing import Any

import numpy as np

from jobs.training.config import DataConfig
from jobs.training.streams import ShardSample


def choose_caption(sample: ShardSample, config: DataConfig, draw: np.random.Generator) -> str:
    """Returns one of a sample's captions, as the configuration says; may be empty."""
    alt = sample.files.get("txt", b"").decode("utf-8", "replace").strip()
    coin = draw.random()
    if config.caption == "alt" or (config.caption == "mix" and coin >= config.synthetic_share):
        return alt
    texts = [
        str(entry["text"])
        for entry in facts_of(sample).get("captions") or ()
        if config.caption_models is None or entry.get("model") in config.caption_models
    ]
    return texts[int(draw.integers(len(texts)))] if texts else alt


def choose_hard_negatives(sample: ShardSample, each: int, draw: np.random.Generator) -> list[str]:
    """Returns at most so many of a sample's almost right texts, all different."""
    texts = facts_of(sample).get("hard_negatives") or ()
    return [str(texts[at]) for at in draw.permutation(len(texts))[:each]]


def facts_of(sample: ShardSample) -> dict[str, Any]:
    """Returns a sample's `.json`, or an empty dict."""
    body = sample.files.get("json")
    return dict(json.loads(body)) if body else {}
