"""The text that a sample is delivered with: alt-text, a synthetic caption, or a mixture of both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from curation.key_draws import key_draw
from schemas.manifest import TextRule

# Apart from the seed of the shuffle, so that the two draws of one key have nothing to do with each other.
_DRAW = 0x7465787473


def chosen_texts(table: pa.Table, rule: TextRule) -> list[str]:
    """The text of every row, empty where the rule finds none.

    The alt-text is `text`, as the rules for texts left it, or `caption` where no step made `text`.
    """
    alt_texts = _column(table, "text" if "text" in table.column_names else "caption")
    synthetic = [_best(captions, rule) for captions in _column(table, "captions")]
    keys = table["key"].to_pylist()
    return [_chosen(rule, key, alt, made) or "" for key, alt, made in zip(keys, alt_texts, synthetic, strict=True)]


def _column(table: pa.Table, name: str) -> Sequence[Any]:
    return table[name].to_pylist() if name in table.column_names else [None] * table.num_rows


def _best(captions: list[dict[str, Any]] | None, rule: TextRule) -> str | None:
    usable = [entry for entry in captions or () if entry and entry["text"]]
    if not usable:
        return None
    # max() takes the first of equals.
    best = max(usable, key=_rank) if rule.pick == "best_score" else usable[0]
    return str(best["text"])


def _rank(entry: dict[str, Any]) -> float:
    score = entry["score"]
    return score if score is not None and math.isfinite(score) else -math.inf


def _chosen(rule: TextRule, key: str, alt: str | None, synthetic: str | None) -> str | None:
    if rule.choice == "alt":
        return alt
    if rule.choice == "synthetic":
        return synthetic
    if rule.choice == "mixed" and key_draw(key, rule.seed ^ _DRAW) >= rule.synthetic_share:
        return alt or synthetic
    return synthetic or alt
