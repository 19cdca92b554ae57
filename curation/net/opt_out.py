"""What the owner of a page says in its headers about the use of its images."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Literal, get_args

RobotsTag = Literal["noai", "noimageai", "noindex", "noimageindex"]
ROBOTS_TAGS: tuple[RobotsTag, ...] = get_args(RobotsTag)

# Directives that have a value of their own behind a colon.
_VALUED = frozenset({"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"})
# The word before a colon is no crawler's name if it is one of these, and is one if one of these follows.
_DIRECTIVES = _VALUED.union(
    ROBOTS_TAGS,
    ("all", "none", "index", "follow", "nofollow", "archive", "noarchive", "nocache", "snippet", "nosnippet"),
    ("translate", "notranslate", "indexifembedded", "nositelinkssearchbox", "nopagereadaloud", "noodp", "noydir"),
)
# Owners write commas, semicolons or nothing between directives; a crawler's version belongs to its name.
_WORD = re.compile(r"([A-Za-z0-9_*.\-]+)(?:/[^\s,;:]*)?(\s*:\s*)?")
_SEPARATOR = re.compile(r"[,;]")
_MEANS = {"none": "noindex"}


def robots_tag_objection(values: Iterable[str], agent: str, obeyed: Collection[str] = ROBOTS_TAGS) -> str | None:
    """The first directive of X-Robots-Tag headers that forbids the use, or None.

    A crawler's name before a colon and a known directive binds what follows it in the same header to that crawler.
    Whatever else stands before a colon binds nothing: in doubt, a directive is for all.

    Args:
        values: Each header of that name.
        agent: The product token of this crawler, such as `curation-bot`.
        obeyed: The directives that count. `none` counts as `noindex`, which it includes.

    Source: Google's "Robots meta tag, data-nosnippet, and X-Robots-Tag specifications", with
        noai and noimageai as DeviantArt proposed them in 2022.
    """
    for value in values:
        for directive in _directives_for(agent.lower(), value):
            if _MEANS.get(directive, directive) in obeyed:
                return directive
    return None


def _directives_for(agent: str, value: str) -> Iterator[str]:
    """The words of a header that may be directives for a crawler, in lower case."""
    concerned = True
    words = [(word[1].lower(), word[2] is not None, word.end()) for word in _WORD.finditer(value)]
    is_value = False
    for number, (word, names, end) in enumerate(words):
        if is_value:
            is_value = False
        elif names and word not in _DIRECTIVES:
            follows = words[number + 1][0] if number + 1 < len(words) and value[end : end + 1] not in ",;" else ""
            if word in ("*", agent) or follows in _DIRECTIVES:
                concerned = word in ("*", agent)
        elif concerned:
            yield word
        # With nothing behind its colon, what follows is the next directive.
        is_value = names and word in _VALUED and value[end : end + 1] not in ",;"


def reserves_mining(values: Iterable[str]) -> bool:
    """Whether `tdm-reservation` headers reserve text and data mining, several in one among them.

    Source: "TDM Reservation Protocol (TDMRep)", W3C Community Group, section 5.2 (HTTP header). Values other
        than 0 and 1 mean nothing, it says.
    """
    return any(part.strip() == "1" for value in values for part in _SEPARATOR.split(value))
