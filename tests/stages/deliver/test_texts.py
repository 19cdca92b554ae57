import math

import pyarrow as pa
import pytest
from drawn_keys import key_that_draws

from schemas.columns import COLUMNS
from schemas.manifest import TextRule
from stages.deliver.texts import chosen_texts


def entry(text, score=-1.0):
    return {"text": text, "model": "m", "prompt": None, "score": score}


def table(alts, captions=None, column="text", keys=None):
    columns = {"key": keys or [f"{place:032x}" for place in range(len(alts))], column: pa.array(alts, pa.string())}
    if captions is not None:
        columns["captions"] = pa.array(captions, COLUMNS["captions"].type)
    return pa.table(columns)


def rule(choice, pick="first", share=0.5, seed=0):
    return TextRule(choice=choice, pick=pick, synthetic_share=share, seed=seed)


ALTS = ["alt", "alt", None, None]
CAPTIONS = [[entry("made")], [], [entry("made")], None]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("alt", ["alt", "alt", "", ""]),
        ("synthetic", ["made", "", "made", ""]),
        ("prefer_synthetic", ["made", "alt", "made", ""]),
    ],
)
def test_text_follows_the_rule_when_some_texts_are_missing(choice, expected):
    assert chosen_texts(table(ALTS, CAPTIONS), rule(choice)) == expected


def test_cleaned_text_is_taken_when_there_is_the_source_s_caption_as_well():
    both = table(["cleaned"]).append_column("caption", pa.array(["as given"]))
    assert chosen_texts(both, rule("alt")) == ["cleaned"]


def test_source_s_caption_is_taken_when_no_step_cleaned_it():
    assert chosen_texts(table(["as given"], column="caption"), rule("alt")) == ["as given"]


def test_best_score_is_taken_when_asked_for():
    captions = [[entry("poor", -2.0), entry("good", -0.5), entry("as good", -0.5), entry("none", None)]]
    assert chosen_texts(table(["alt"], captions), rule("synthetic", "best_score")) == ["good"]


def test_a_score_that_is_no_number_never_wins():
    captions = [[entry("broken", float("nan")), entry("sound", -9.0)]]
    assert chosen_texts(table(["alt"], captions), rule("synthetic", "best_score")) == ["sound"]


def test_empty_captions_are_passed_over_when_the_first_is_asked_for():
    assert chosen_texts(table(["alt"], [[entry(""), entry("second")]]), rule("synthetic")) == ["second"]


def test_a_share_is_synthetic_when_mixed():
    keys = [f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}" for number in range(1, 2001)]
    many = table(["alt"] * 2000, [[entry("made")]] * 2000, keys=keys)
    texts = chosen_texts(many, rule("mixed", share=0.25))
    # Four standard deviations of 2,000 draws at 0.25.
    assert abs(texts.count("made") - 500) < 4 * (2000 * 0.25 * 0.75) ** 0.5
    assert texts == chosen_texts(many, rule("mixed", share=0.25))
    assert texts != chosen_texts(many, rule("mixed", share=0.25, seed=1))


@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
@pytest.mark.parametrize("seed", [0, 7])
def test_text_is_synthetic_below_the_share_and_not_at_it_when_mixed(share, seed):
    draws = [0.0, math.nextafter(share, 0), share, 1 - 2**-53]
    keys = [key_that_draws(draw, seed ^ int.from_bytes(b"texts")) for draw in draws]
    texts = chosen_texts(table(["alt"] * 4, [[entry("made")]] * 4, keys=keys), rule("mixed", share=share, seed=seed))
    assert texts == ["made", "made", "alt", "alt"]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_other_kind_stands_in_when_mixed_and_one_is_missing(share):
    assert chosen_texts(table(ALTS, CAPTIONS), rule("mixed", share=share))[1:] == ["alt", "made", ""]
