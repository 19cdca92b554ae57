import math

import pytest

from stages.caption.faults import described_fault, fault_of, without_instruction


@pytest.mark.parametrize(
    "text",
    [
        "a red circle",
        "dog",
        "日本の庭",
        "a cat that can jump",
        "i can see a red circle and a blue square",
        "a red circle, a red square, a red star and a red cross on a red ground",
        "a sign that says: i'm sorry, we are closed",
        "the the the",
        "2",
    ],
)
def test_a_caption_has_no_fault(text):
    assert fault_of(text, None, -1.0) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("!!!!!!!!!!!!!!!", "no_words"),
        ("... - …", "no_words"),
        ("Describe the image!", "prompt_echoed"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I’m sorry, I cannot describe it", "refusal"),
        ("Sorry, I do not see an image.", "refusal"),
        ("As an AI language model, I see nothing.", "refusal"),
        ("I cannot identify people in images.", "refusal"),
        ("I'm unable to view images", "refusal"),
        ("Unfortunately, I have no image.", "refusal"),
        ("a a a a a a a a", "repetition"),
        ("cat and dog " * 4, "repetition"),
    ],
)
def test_what_is_no_caption_is_named(text, fault):
    assert fault_of(text, "Describe the image.", -1.0) == fault


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_a_fault(score):
    assert fault_of("a cat", None, score) == "non_finite_score"


@pytest.mark.parametrize(
    ("text", "prompt", "expected"),
    [
        ("Describe the image. A red circle.", "Describe the image.", "A red circle."),
        ("describe the image. A red circle.", " Describe the image. ", "A red circle."),
        ("A red circle.", "Describe the image.", "A red circle."),
        ("a photo of a cat", "a photo of", "a photo of a cat"),
        ("a cat", None, "a cat"),
    ],
)
def test_an_echoed_instruction_is_cut_off(text, prompt, expected):
    assert without_instruction(text, prompt) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("", "empty"), ("no", "empty (no)"), ("x" * 70, "empty (" + "x" * 60 + "…)")]
)
def test_a_fault_is_described_by_the_beginning_of_its_text(text, expected):
    assert described_fault("empty", text) == expected
