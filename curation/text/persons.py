"""Names of persons in English texts, and a token in their place."""

from __future__ import annotations

import re

import polars as pl

from curation.text.lexicon import Lexicon

PERSON_TOKEN = "<PERSON>"  # noqa: S105 - no password
_CAPITALISED = r"[A-ZÀ-ÖØ-Þ](?:['’]?[A-Za-zÀ-ÖØ-öø-ÿ])*(?:-[A-ZÀ-ÖØ-Þ][A-Za-zÀ-ÖØ-öø-ÿ]+)*"
_NAME = re.compile(
    rf"(?<![\w'’-])(?P<title>(?:Mr|Mrs|Ms|Miss|Dr|Sir|Prof|Lady|Lord|President|Queen|King|Prince|Princess)\.? )?"
    rf"(?P<first>{_CAPITALISED})(?P<middle>(?: [A-Z]\.?)?(?: (?:van|von|de|der|den|la|le|bin|al|del|da|di))*)"
    rf" (?P<last>{_CAPITALISED})(?![\w-])"
)
_SUSPECT = r"\p{Lu}\S* (?:\S{1,4} ){0,3}\p{Lu}"


def replace_persons(texts: pl.Series, lexicon: Lexicon) -> tuple[pl.Series, pl.Series]:
    """Replaces names by `<PERSON>`: a known first name and a surname, with an initial or a particle between them.

    The word behind the first name must be a known surname or no common word, so that "Charlotte Dress" stays. A
    first name alone, a surname alone and a name that the lists do not have are not found; a brand called after a
    person is.

    Args:
        texts: (n,) String; null stays null.

    Returns:
        (n,) String, the texts; (n,) Int32, the names that were replaced, null for null.
    """
    found = pl.select(pl.when(texts.is_not_null()).then(pl.lit(0, pl.Int32))).to_series()
    suspects = texts.str.contains(_SUSPECT).fill_null(False).arg_true()
    if suspects.is_empty():
        return texts, found
    replaced = [_replaced(text, lexicon) for text in texts.gather(suspects).to_list()]
    return (
        texts.clone().scatter(suspects, [text for text, _ in replaced]),
        found.scatter(suspects, [count for _, count in replaced]),
    )


def _replaced(text: str, lexicon: Lexicon) -> tuple[str, int]:
    pieces, count, at = [], 0, 0
    start = 0
    while match := _NAME.search(text, at):
        if not _is_name(match, lexicon):
            # The next word may be the first name: "Actress Anna Smith".
            at = match.end("first")
            continue
        pieces += [text[start : match.start()], PERSON_TOKEN]
        count += 1
        start = at = match.end()
    return "".join([*pieces, text[start:]]), count


def _is_name(match: re.Match[str], lexicon: Lexicon) -> bool:
    first, last = match["first"].lower(), match["last"].removesuffix("'s").removesuffix("’s").lower()
    if len(first) < 2 or len(last) < 2 or first not in lexicon.first_names:
        return False
    return last in lexicon.surnames or last not in lexicon.common
