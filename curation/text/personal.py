"""Finds e-mail addresses and phone numbers in texts."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

EMAIL_TOKEN, PHONE_TOKEN = "<EMAIL>", "<PHONE>"

# What follows the last dot is no extension: "logo@2x.png" is a file for screens of double density.
_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w.+%-]+(?:@|\s?[\[(]\s?at\s?[\])]\s?)(?:(?:[^\W_]|-)+\.)+"
    r"(?!(?:png|jpe?g|gif|webp|svg|bmp|tiff?|avif|ico|html?|php)\b)[a-z]{2,24}\b",
    re.IGNORECASE,
)
_GAP = r"[ ./()\-]{0,3}"
_PHONE = re.compile(
    # +49 (0)30 1234-567: a country code says that it is one.
    rf"(?<![\w+])\+[1-9](?:{_GAP}\d){{7,14}}(?!\d)"
    # (212) 555-0187, 212.555.0187, 1-800-555-0187: groups of 3, 3 and 4, parted alike, but for what is in parentheses.
    r"|(?P<grouped>(?<![\w.\-/(])(?:1[ .\-])?"
    r"(?:\(\d{3}\) ?\d{3}[ .\-]\d{4}|\d{3}(?P<gap>[.\- ])\d{3}(?P=gap)\d{4}))(?![\w\-/])"
    # Whatever a word announces.
    rf"|(?<!\w)\d(?:{_GAP}\d){{6,14}}(?!\d)",
)
_ANNOUNCED = re.compile(
    r"\b(?:tel|telephone|phone|ph|call|text|mobile|mob|cell|fax|whats\s?app|hotline|telefon|tél|téléphone|handy|contact)"
    r"(?:\s?(?:us|no|number|nr|now|at|on|or))*[.:#]*\s*$",
    re.IGNORECASE,
)
_ANNOUNCED_CHARS = 64
"""What announces a number stands so near before it: looking further back takes time that grows with the square."""
_SUSPECT_PHONE = r"\d(?:[ ./()\-]{0,3}\d){6}"
_SUSPECT_EMAIL = r"(?i)@|[\[(]\s?at\s?[\])]"


@dataclass(frozen=True, slots=True)
class PersonalData:
    """What was found.

    Attributes:
        masked: (n,) String: the texts with a token in place of each find.
        found: (n,) Int32: the finds; null for null.
        first: (n,) String: the kind of the first find ("email" or "phone"), null without one. Never the find itself:
            it would go into the ledger.
    """

    masked: pl.Series
    found: pl.Series
    first: pl.Series


def find_personal_data(texts: pl.Series) -> PersonalData:
    """Finds addresses and numbers in a batch.

    A number counts as one of a phone if it begins with `+`, if it has the groups of a North American one, or if
    a word such as "tel" or "call" stands right before it. National numbers of other countries that nothing announces
    look like the numbers of products, and stay.

    Args:
        texts: (n,) String, as `plain_texts` makes them; null stays null.
    """
    suspects = (texts.str.contains(_SUSPECT_EMAIL) | texts.str.contains(_SUSPECT_PHONE)).fill_null(False).arg_true()
    found = pl.select(pl.when(texts.is_not_null()).then(pl.lit(0, pl.Int32))).to_series()
    first = pl.repeat(None, len(texts), dtype=pl.String, eager=True)
    if suspects.is_empty():
        return PersonalData(texts, found, first)
    judged = [_masked(text) for text in texts.gather(suspects).to_list()]
    return PersonalData(
        texts.clone().scatter(suspects, [text for text, _ in judged]),
        found.scatter(suspects, [len(kinds) for _, kinds in judged]),
        first.scatter(suspects, [kinds[0] if kinds else None for _, kinds in judged]),
    )


def _masked(text: str) -> tuple[str, list[str]]:
    kinds: list[str] = []

    def email(_: re.Match[str]) -> str:
        kinds.append("email")
        return EMAIL_TOKEN

    def phone(match: re.Match[str]) -> str:
        start = match.start()
        announced = _ANNOUNCED.search(match.string, max(start - _ANNOUNCED_CHARS, 0), start)
        if match[0][0] != "+" and match["grouped"] is None and not announced:
            return match[0]
        kinds.append("phone")
        return PHONE_TOKEN

    return _PHONE.sub(phone, _EMAIL.sub(email, text)), kinds
