"""Makes plain text of an alt-text as it was found in a page."""

from __future__ import annotations

import html
import re

import polars as pl

# HTML also lets a few names do without their semicolon; taking every one of them would turn "fish&not" into "fish¬".
_ENTITY = re.compile(
    r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});|&(?:nbsp|amp|quot|lt|gt)\b", re.IGNORECASE
)
_MOST_ESCAPED = 4
"""Pages that pass through several templates are escaped again by each."""

_UNSEEN = r"(?is)<!--.*?-->|<(?:script|style)\b[^<>]*>.*?</(?:script|style)\s*>"
_INLINE_TAG = (
    r"(?i)</?(?:a|abbr|b|bdi|bdo|big|cite|code|em|font|i|ins|mark|s|small|span|strong|sub|sup|u|wbr)(?:\s[^<>]*)?/?>"
)
_TAG = r"(?i)</?[a-z][a-z0-9-]*(?:\s[^<>]*)?/?>|<!doctype[^<>]*>"
_CONTROL = r"[\p{Cc}&&[^\s]]"
# Soft hyphens, zero-width spaces, marks of direction, byte-order marks. The zero-width joiners stay: emoji and several
# scripts are spelled with them.
_INVISIBLE = (
    r"[\u{AD}\u{200B}\u{200E}\u{200F}\u{202A}-\u{202E}\u{2060}-\u{2064}\u{2066}-\u{206F}\u{FEFF}\u{FFF9}-\u{FFFB}]"
)


def plain_texts(texts: pl.Series) -> pl.Series:
    """Cleans alt-texts: what is left is what a reader would have seen.

    HTML entities are resolved, those escaped several times too, tags and comments taken out,
    control and invisible characters removed, the text brought to NFC and every run of white
    space folded into one space.

    Args:
        texts: (n,) String; null stays null.

    Returns:
        (n,) String, without white space at either end.
    """
    resolved = _resolved(texts)
    plain = (
        pl.col("text")
        .str.replace_all(_UNSEEN, " ")
        .str.replace_all(_INLINE_TAG, "")
        .str.replace_all(_TAG, " ")
        .str.replace_all(_CONTROL, "")
        .str.replace_all(_INVISIBLE, "")
        .str.normalize("NFC")
        .str.replace_all(r"\s+", " ")
        .str.strip_chars()
    )
    return pl.DataFrame({"text": resolved}).select(plain).to_series()


def resolve_entities(text: str) -> str:
    """The text with its HTML entities resolved, as often as they were escaped."""
    for _ in range(_MOST_ESCAPED):
        resolved = _ENTITY.sub(_character, text)
        if resolved == text:
            break
        text = resolved
    return text


def _character(entity: re.Match[str]) -> str:
    name = entity[0]
    resolved = html.unescape(name)
    # Names are matched without regard to case, for "&NBSP;"; HTML knows most of them in lower case alone.
    return resolved if resolved != name else html.unescape(name.lower())


def _resolved(texts: pl.Series) -> pl.Series:
    suspects = texts.str.contains("&", literal=True).fill_null(False).arg_true()
    if suspects.is_empty():
        return texts
    resolved = [resolve_entities(text) for text in texts.gather(suspects).to_list()]
    return texts.clone().scatter(suspects, resolved)
