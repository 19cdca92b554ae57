"""What the owner of a page says in its headers about the use of its images."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Literal, get_args

RobotsTag = Literal["noai", "noimageai", "noindex", "noimageindex"]
ROBOTS_TAGS: tuple[RobotsTag, ...] = get_args(RobotsTag)

# Directives that have a value of their own behind a colon, so that the word before it names no crawler.
_VALUED = frozenset({"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"})
_AGENT = re.compile(r"\s*([A-Za-z0-9_*.\-]+)\s*:\s*(.*)", re.DOTALL)
_MEANS = {"none": "noindex"}


def robots_tag_objection(values: Iterable[str], agent: str, obeyed: Collection[str] = ROBOTS_TAGS) -> str | None:
    """The first directive of X-Robots-Tag headers that forbids the use, or None.

    A crawler's name before a colon binds what follows it in the same header to that crawler.

    Args:
        values: Each header of that name.
        agent: The product token of this crawler, such as `curation-bot`.
        obeyed: The directives that count. `none` counts as `noindex`, which it includes.

    Source: Google's "Robots meta tag, data-nosnippet, and X-Robots-Tag specifications", with
        noai and noimageai as DeviantArt proposed them in 2022.
    """
    for value in values:
        concerned = True
        for part in value.split(","):
            named = _AGENT.match(part)
            if named and named.group(1).lower() not in _VALUED:
                concerned = named.group(1).lower() in ("*", agent.lower())
                part = named.group(2)
            directive = part.strip().lower()
            if concerned and _MEANS.get(directive, directive) in obeyed:
                return directive
    return None


def reserves_mining(values: Iterable[str]) -> bool:
    """Whether `tdm-reservation` headers reserve text and data mining.

    Source: "TDM Reservation Protocol (TDMRep)", W3C Community Group, section 5.2 (HTTP header). Values other
        than 0 and 1 mean nothing, it says.
    """
    return any(value.strip() == "1" for value in values)
