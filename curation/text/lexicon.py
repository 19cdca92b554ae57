"""English words by what they most often are, from the lexicon inside textblob and the census lists inside names.

Neither package is imported: textblob would bring NLTK, and all that is wanted are four files of words.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_NOUN_TAGS = ("NN", "FW")
_DETERMINER_TAGS = ("DT", "PDT", "WDT")
_WORD_TAGS = re.compile(r"CC|CD|DT|EX|FW|IN|JJ[RS]?|MD|NNP?S?|PDT|PRP\$?|RB[RS]?|RP|TO|UH|VB[DGNPZ]?|WDT|WP\$?|WRB")
_MISPRINTED = frozenset(
    ("ur", "dat", "dis", "heelsthe", "l.", "nary", "th", "tha", "thees", "thet", ".what", "'nother")
)
"""Determiners of the lexicon that are misprints or dialects."""
_SURNAMES = 20_000
_SURE_SURNAMES = 1_000
"""Rarer ones that are also common words, such as Harp and Pillow, are mostly the words."""
_OTHER_NAMES = frozenset(
    (
        *(
            "africa",
            "alabama",
            "america",
            "arizona",
            "asia",
            "austin",
            "berlin",
            "brazil",
            "britain",
            "brooklyn",
            "canada",
        ),
        *(
            "carolina",
            "china",
            "dakota",
            "dallas",
            "denver",
            "egypt",
            "england",
            "florida",
            "france",
            "georgia",
            "germany",
        ),
        *(
            "holland",
            "houston",
            "india",
            "indiana",
            "ireland",
            "israel",
            "italy",
            "jamaica",
            "japan",
            "jersey",
            "kansas",
        ),
        *("kenya", "london", "malta", "mexico", "miami", "montana", "monte", "nevada", "odessa", "orlando", "oneida"),
        *("paris", "persia", "phoenix", "rome", "russia", "san", "santiago", "savannah", "scotland", "spain", "sydney"),
        *(
            "texas",
            "tokyo",
            "trinidad",
            "venice",
            "vienna",
            "vietnam",
            "wales",
            "washington",
            "york",
            "antonio",
            "madison",
        ),
        *("irish", "barbie", "hilton", "lexus", "mercedes", "porsche", "bentley", "disney", "lego", "armani", "prada"),
        *("april", "may", "june", "july", "august", "sunday", "santa", "christmas", "easter", "merle", "athena"),
        *("lady", "king", "prince", "princess", "queen", "major", "judge", "doc"),
    )
)
"""First names of the census that captions use for something else."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Words in lower case.

    Attributes:
        determiners: Articles, demonstratives, quantifiers; no possessives.
        no_nouns: Words whose most frequent tag is none of a noun, determiners included.
        common: Words that are written in lower case and are no names.
        first_names: Given names that are no common words.
        surnames: Frequent family names, of which such as are common words only where the name is a very frequent one.
    """

    determiners: frozenset[str]
    no_nouns: frozenset[str]
    common: frozenset[str]
    first_names: frozenset[str]
    surnames: frozenset[str]


@cache
def load_lexicon() -> Lexicon:
    """Reads the lists; some 0.3 s.

    Source: the lexicon of Brill's tagger (1992), trained on the Brown corpus and the Penn Treebank, as textblob carries
    it; the names of the US census of 1990, as the package names carries them.
    """
    tags = _tags()
    lower = {word: tag for word, tag in tags.items() if word == word.lower()}
    # A capital alone, such as in "Angry", is the beginning of a sentence or of a name; the small spelling decides.
    both = {**{word.lower(): tag for word, tag in tags.items()}, **lower}
    common = frozenset(word for word, tag in lower.items() if not tag.startswith("NNP"))
    first = _census("dist.female.first") | _census("dist.male.first")
    return Lexicon(
        determiners=frozenset(word for word, tag in lower.items() if tag in _DETERMINER_TAGS and word[0] != "-")
        - _MISPRINTED,
        no_nouns=frozenset(word for word, tag in both.items() if not tag.startswith(_NOUN_TAGS)),
        common=common,
        first_names=first - common - _OTHER_NAMES,
        surnames=(_census("dist.all.last", _SURNAMES) - common) | _census("dist.all.last", _SURE_SURNAMES),
    )


def _tags() -> dict[str, str]:
    lines = (_folder("textblob") / "en" / "en-lexicon.txt").read_text(encoding="utf-8").splitlines()
    entries = (line.split(" ") for line in lines if line and not line.startswith(";;;"))
    return {entry[0]: entry[1] for entry in entries if len(entry) > 1 and _WORD_TAGS.fullmatch(entry[1])}


def _census(name: str, most: int | None = None) -> frozenset[str]:
    lines = (_folder("names") / name).read_text(encoding="utf-8").splitlines()[:most]
    return frozenset(line.split()[0].lower() for line in lines if line.strip())


def _folder(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"the package {package} is not installed")
    return Path(found.origin).parent
