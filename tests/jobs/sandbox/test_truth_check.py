"""The check against the truth, on a dozen rows whose figures are counted by hand."""

import polars as pl
import pytest

from jobs.sandbox.truth_check import check_against_truth

RED_CIRCLE = [{"colour": "red", "shape": "circle"}]


def row(**values):
    usual = {
        "trouble": "none",
        "caption_kind": "right",
        "copy_kind": "none",
        "group": None,
        "objects": RED_CIRCLE,
        "outcome": "kept",
        "step": None,
        "reason": None,
        "duplicate_of": None,
        "captions": [{"text": "a red circle", "model": "m", "prompt": None, "score": -0.1}],
    }
    return {**usual, **values}


def removed(**values):
    return row(outcome="rejected", step="deduplicate", captions=None, **values)


def figures(*rows):
    truth = pl.DataFrame(
        [
            {name: entry[name] for name in ("trouble", "caption_kind", "copy_kind", "group", "objects")}
            | {"url": f"u{place}", "caption": "c"}
            for place, entry in enumerate(rows)
        ],
        schema_overrides={"group": pl.Int64},
        infer_schema_length=None,
    )
    ledger = pl.DataFrame(
        [
            {name: entry[name] for name in ("outcome", "step", "reason", "duplicate_of", "captions")}
            | {"row": place, "key": f"k{place}", "url": f"u{place}", "caption": "c"}
            for place, entry in enumerate(rows)
        ],
        schema_overrides={"duplicate_of": pl.String, "step": pl.String, "reason": pl.String},
        infer_schema_length=None,
    )
    return check_against_truth(ledger, truth)


def failed(trouble, reason):
    return row(trouble=trouble, outcome="failed", step="fetch_images", reason=reason, captions=None)


def test_failure_reasons_count_wrong_reasons_and_needless_failures_when_there_are_any():
    result = figures(
        failed("not_found", "http_not_found"),
        failed("gone", "http_not_found"),
        failed("none", "total_timeout"),
        row(trouble="webp"),
        row(outcome="rejected", step="text_rules", reason="text_rules.min_words", captions=None),
    )
    assert result["failure_reasons_right"] == 0.5


def test_copies_are_counted_by_what_is_superfluous_when_some_are_left():
    result = figures(
        row(group=1),
        removed(group=1, copy_kind="exact", reason="deduplicate.exact", duplicate_of="k0"),
        row(group=1, copy_kind="exact"),
        removed(group=1, copy_kind="near:cropped", reason="deduplicate.perceptual", duplicate_of="k0"),
        row(group=2),
        row(group=2, copy_kind="near:rescaled"),
        removed(reason="deduplicate.perceptual", duplicate_of="k4"),
    )
    assert result["exact_dup_recall"] == 0.5
    assert result["near_dup_recall"] == 0.5
    assert result["near_dup_precision"] == 0.5


def test_a_copy_that_never_reached_the_step_is_not_counted_when_it_failed_before():
    result = figures(row(group=1), failed("none", "http_gone") | {"group": 1, "copy_kind": "exact"})
    assert result["exact_dup_recall"] == 1.0


def test_mismatches_count_every_wrong_caption_as_rightly_rejected_when_select_rejects():
    def rejected(kind):
        return row(caption_kind=kind, outcome="rejected", step="select", reason="select.clip_score", captions=None)

    result = figures(
        rejected("mismatched"), rejected("half_right"), rejected("right"), row(caption_kind="mismatched"), row()
    )
    assert result["mismatch_recall"] == 0.5
    assert result["half_right_recall"] == 1.0
    assert result["mismatch_precision"] == pytest.approx(2 / 3, abs=1e-4)


def test_a_caption_is_right_only_when_it_names_exactly_what_there_is():
    def captioned(text):
        return row(captions=[{"text": text, "model": "m", "prompt": None, "score": 0.0}])

    result = figures(
        captioned("a red circle"),
        captioned("a red circle and a blue square"),
        captioned("a red square"),
        row(captions=[]),
    )
    assert result["recaption_accuracy"] == 0.25
