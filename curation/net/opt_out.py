"""What the owner of a page says in its headers about the use of its images."""

from __future__ import annotations

import re
from collections.abc import Iterable

_OBJECTIONS = ("noai", "noimageai", "noindex", "noimageindex", "none")
# Directives that have a value of their own behind a colon, so that the word before it names no crawler.
_VALUED = frozenset({"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"})
_AGENT = re.compile(r"\s*([A-Za-z0-9_*.\-]+)\s*:\s*(.*)", re.DOTALL)


def robots_tag_objection(values: Iterable[str], agent: str) -> str | None:
    """The first directive of X-Robots-Tag headers that forbids the use, or None.

    A crawler's name before a colon binds what follows it in the same header to that crawler.

    Args:
        values: Each header of that name.
        agent: The product token of this crawler, such as `curation-bot`.

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
            if concerned and directive in _OBJECTIONS:
                return directive
    return None
