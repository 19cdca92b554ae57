"""What captioners are known to say when they say nothing: found by rules, so that it never stands as a caption."""

from __future__ import annotations

import math
import re

_WORD = re.compile(r"\w+")
_REFUSAL = re.compile(
    r"(i['’]?m sorry|i am sorry|sorry,? (but )?i\b|i apologi[sz]e|unfortunately, i|as an ai\b|"
    r"i (can['’]?t|cannot|can not|am unable to|['’]?m unable to|am not able to|do not have|don['’]?t have)\b|"
    r"i['’]m (unable|not able) to\b)"
)
_INSTRUCTION_END = (".", "?", "!", ":")
_REPETITION_WORDS = 8
_DISTINCT_SHARE = 0.25
_EXCERPT_CHARS = 60


def without_instruction(text: str, prompt: str | None) -> str:
    """The text without the instruction that it echoes.

    A prompt that is the beginning of a caption (`a photo of`) belongs to it; one that ends as a sentence does
    (`Describe the image.`) is an instruction.
    """
    if prompt and prompt.strip().endswith(_INSTRUCTION_END):
        stripped = prompt.strip()
        if text.casefold().startswith(stripped.casefold()):
            return text[len(stripped) :].strip()
    return text


def fault_of(text: str, prompt: str | None, score: float) -> str | None:
    """Why a generated text is no caption, or None where it is one.

    The faults: `empty`; `non_finite_score` (half precision overflowed); `no_words` (such as `!!!!!!!!`, which is what
    an overflow looks like without its score); `prompt_echoed`, and nothing else said; `refusal`; `repetition`: eight
    words or more of which at most a quarter are different ones.
    """
    words = _WORD.findall(text.casefold())
    if not text.strip():
        return "empty"
    if not math.isfinite(score):
        return "non_finite_score"
    if not any(character.isalnum() for character in text):
        return "no_words"
    if prompt and words == _WORD.findall(prompt.casefold()):
        return "prompt_echoed"
    if _REFUSAL.match(text.casefold()):
        return "refusal"
    if len(words) >= _REPETITION_WORDS and len(set(words)) <= _DISTINCT_SHARE * len(words):
        return "repetition"
    return None


def described_fault(fault: str, text: str) -> str:
    """The fault with the beginning of the text it was found in."""
    if not text.strip():
        return fault
    excerpt = text if len(text) <= _EXCERPT_CHARS else text[:_EXCERPT_CHARS] + "…"
    return f"{fault} ({excerpt})"
