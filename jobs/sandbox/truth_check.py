"""Holds a run over the sandbox web against the truth: the pipeline never sees either this or the truth."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl

from jobs.sandbox.captions import named_pairs
from jobs.sandbox.trouble import EXPECTED, FINE, CaptionKind, CopyKind, Trouble

TEXT_STEP = "text_rules"
DECODE_STEPS = ("fetch_images", "decode_images")


def check_against_truth(ledger: pl.DataFrame, truth: pl.DataFrame) -> dict[str, float]:
    """How right the run was, each figure from 0 to 1.

    * `failure_reasons_right`: rows whose trouble decides their end and that ended just so, and rows whose picture is
      fine and that got through fetching and decoding, of all rows that were tried.
    * `exact_dup_recall`, `near_dup_recall`: superfluous copies that were removed, of those alive at that step; among n
      copies of a picture n - 1 are superfluous.
    * `near_dup_precision`: rows removed as perceptual copies of a picture of the same scene.
    * `mismatch_recall`: rows with another picture's caption that `select` rejected, of those that reached it.
    * `mismatch_precision`: rows that `select` rejected and whose caption is wrong (another picture's, half right, or
      useless).
    * `half_right_recall`: like the first, for captions with one wrong attribute.
    * `recaption_accuracy`: kept rows whose synthetic caption names exactly the objects in the picture.

    Args:
        ledger: One row for each input row.
        truth: In the order of the input rows, see `jobs.sandbox.web.TRUTH_SCHEMA`.
    """
    rows = truth.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    rows = rows.join(ledger.drop("url", "caption"), on="row", how="left")
    return {
        "failure_reasons_right": _failure_reasons_right(rows),
        **_copies(rows),
        **_mismatches(rows),
        "recaption_accuracy": _recaption_accuracy(rows),
    }


def _failure_reasons_right(rows: pl.DataFrame) -> float:
    right = tried = 0
    for row in rows.select("trouble", "outcome", "step", "reason").iter_rows(named=True):
        expected = EXPECTED[Trouble(row["trouble"])]
        if expected == FINE:
            if row["step"] == TEXT_STEP:
                continue
            right += row["outcome"] != "failed" and row["step"] not in DECODE_STEPS
        else:
            right += (row["outcome"], row["reason"]) == expected
        tried += 1
    return _share(right, tried)


def _copies(rows: pl.DataFrame) -> dict[str, float]:
    judged = rows.filter(pl.col("group").is_not_null() & _reached("deduplicate"))
    exact_found = exact_all = near_found = near_all = 0
    for _, group in judged.group_by("group"):
        removed = group["step"].eq_missing(pl.Series(["deduplicate"]))
        is_same_bytes = group["copy_kind"].is_in([CopyKind.NONE.value, CopyKind.EXACT.value])
        same = int(is_same_bytes.sum())
        superfluous = max(same - 1, 0)
        exact_all += superfluous
        exact_found += min(int((removed & is_same_bytes).sum()), superfluous)
        pictures = (1 if same else 0) + len(group) - same
        survivors = int((~removed & ~is_same_bytes).sum()) + int((~removed & is_same_bytes).any())
        near_all += pictures - 1
        near_found += pictures - max(survivors, 1)
    removed_rows = rows.filter(pl.col("reason") == "deduplicate.perceptual")
    groups = dict(zip(rows["key"], rows["group"], strict=True))
    same_scene = sum(
        group is not None and groups.get(other) == group
        for group, other in zip(removed_rows["group"], removed_rows["duplicate_of"], strict=True)
    )
    return {
        "exact_dup_recall": _share(exact_found, exact_all),
        "near_dup_recall": _share(near_found, near_all),
        "near_dup_precision": _share(same_scene, len(removed_rows)),
    }


def _mismatches(rows: pl.DataFrame) -> dict[str, float]:
    judged = rows.filter(_reached("select"))
    rejected = judged.filter(pl.col("step") == "select")
    figures = {}
    for name, kind in (("mismatch", CaptionKind.MISMATCHED), ("half_right", CaptionKind.HALF_RIGHT)):
        of_kind = judged.filter(pl.col("caption_kind") == kind.value)
        figures[f"{name}_recall"] = _share((of_kind["step"] == "select").sum(), len(of_kind))
    wrong = (rejected["caption_kind"] != CaptionKind.RIGHT.value).sum()
    return {**figures, "mismatch_precision": _share(wrong, len(rejected))}


def _recaption_accuracy(rows: pl.DataFrame) -> float:
    if "captions" not in rows.columns:
        return 0.0
    kept = rows.filter(pl.col("outcome") == "kept").select("objects", "captions")
    right = sum(_names_exactly(objects, captions) for objects, captions in kept.iter_rows())
    return _share(right, len(kept))


def _names_exactly(objects: list[dict[str, str]], captions: list[dict[str, Any]] | None) -> bool:
    if not captions:
        return False
    return named_pairs(captions[-1]["text"]) == Counter((thing["colour"], thing["shape"]) for thing in objects)


def _reached(step: str) -> pl.Expr:
    """Rows that were alive when the exchange judged them: kept, or ended there or later."""
    later = {"deduplicate": ["deduplicate", "score_alignment", "select", "recaption", "write_shards"]}
    later["select"] = later["deduplicate"][2:]
    return (pl.col("outcome") == "kept") | pl.col("step").is_in(later[step])


def _share(part: Any, whole: int) -> float:
    return round(int(part) / whole, 4) if whole else 1.0
