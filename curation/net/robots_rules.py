"""The rules of one robots.txt that are about this crawler, by RFC 9309, and the line that forbids a URL."""

from __future__ import annotations

import asyncio
import math
import re
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from urllib.parse import urlsplit

from protego import Protego

from curation.net.robots_paths import SLICE_CHARS, PathRules, TooManySteps, url_path

_TOKEN = re.compile(r"[A-Za-z0-9_.\-]+")
_AGENT, _ALLOW, _DISALLOW, _WAIT, _SITEWIDE = range(5)
# What lines begin with, typing mistakes included, as Protego tolerates them.
_FIELDS = {
    **dict.fromkeys(("user-agent", "useragent", "user agent"), _AGENT),
    "allow": _ALLOW,
    **dict.fromkeys(("disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw"), _DISALLOW),
    **dict.fromkeys(("crawl-delay", "crawl delay", "request-rate", "request rate"), _WAIT),
    # These stand for the whole site: they neither belong to a group nor end one.
    **dict.fromkeys(("sitemap", "sitemaps", "site-map", "host"), _SITEWIDE),
}
_LINE_CHARS = 150
# No path is as long as this: such a line is ignored.
_MAX_LINE_CHARS = 2000
# The last wait counts. Nobody states more than one of each kind.
_WAITS = 64
# Below this many rules with wildcards, and in URLs of ordinary length, comparing is a matter of microseconds.
_MANY_WILDCARDS = 200
_LONG_URL_CHARS = 2000
_FILE_BYTES = 3000

_Line = tuple[int, str, int, str]


class RobotsRules:
    """The rules of the groups that name this crawler's product token, or else of those for all (`*`).

    The token must be the group's whole token, whatever its case: a group for `curation` says nothing to
    `curation-bot`. The longest rule counts, and `allow` where two are equally long. Rules that take too long to
    compare with a URL forbid it.

    Source: RFC 9309, section 2.2; the tolerance of typing mistakes is Protego's, and waits are read by it.
    """

    def __init__(self, text: str, agent: str) -> None:
        """Takes the file and the crawler's product token."""
        for _ in self._read(text, agent):
            pass

    @classmethod
    async def read(cls, text: str, agent: str) -> RobotsRules:
        """The same, a slice at a time: the event loop does other things in between."""
        rules = cls("", agent)
        for _ in rules._read(text, agent):
            await asyncio.sleep(0)
        return rules

    def _read(self, text: str, agent: str) -> Iterator[None]:
        chosen = yield from _lines_about(text, agent.lower())
        self._rules = PathRules()
        waits: deque[str] = deque(maxlen=_WAITS)
        taken = 0
        for number, line, field, value in chosen:
            if field == _WAIT:
                waits.append(line)
            else:
                self._rules.add(field == _ALLOW, value, number, line)
            taken += len(line)
            if taken > SLICE_CHARS:
                taken = 0
                yield
        yield from self._rules.finish()
        self.interval_s = _interval_s(waits)
        """Least seconds between two requests, by Crawl-delay or Request-rate; 0 where neither is there."""
        self.size_bytes = _FILE_BYTES + self._rules.size_bytes
        """About so much memory is taken."""

    def takes_long(self, url: str) -> bool:
        """Whether `objection` may take milliseconds: who asks about many URLs should pause between them."""
        return self._rules.wildcards > _MANY_WILDCARDS or len(url) > _LONG_URL_CHARS

    def objection(self, url: str) -> str | None:
        """The line that forbids the URL, with its number, or None where it may be fetched."""
        if "/robots.txt" in url and urlsplit(url).path == "/robots.txt":
            return None
        try:
            rule = self._rules.deciding(url_path(url))
        except TooManySteps:
            return "rules that take too long to compare with this URL"
        if rule is None or rule.allows:
            return None
        return f"line {rule.number}: {rule.line[:_LINE_CHARS]}"


def _interval_s(waits: Iterable[str]) -> float:
    rules = Protego.parse("\n".join(["User-agent: *", *waits]))
    rate = rules.request_rate("*")
    try:
        by_rate = rate.seconds / rate.requests if rate else 0.0
    except OverflowError:
        by_rate = math.inf
    return max(rules.crawl_delay("*") or 0.0, by_rate)


def _slices(text: str) -> Iterator[list[str]]:
    """The lines, some at a time."""
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    start = 0
    while start < len(text):
        end = text.find("\n", start + SLICE_CHARS)
        end = len(text) if end < 0 else end
        yield text[start:end].split("\n")
        start = end + 1


def _lines_about(text: str, agent: str) -> Generator[None, None, list[_Line]]:
    """The rule lines of the groups for the agent or, if no group names it, of those for all."""
    chosen: dict[str, list[_Line]] = {"*": []}
    group: set[str] = set()
    group_is_open = False
    first = 1
    for lines in _slices(text):
        for number, raw in enumerate(lines, first):
            line = raw.partition("#")[0].strip()
            if not line or len(line) > _MAX_LINE_CHARS:
                continue
            field, value = _directive(line)
            if field == _AGENT:
                if not group_is_open:
                    group, group_is_open = set(), True
                token = _token_of(value)
                if token in ("*", agent):
                    chosen.setdefault(token, [])
                    group.add(token)
            elif field != _SITEWIDE:
                group_is_open = False
                if field is not None and value:
                    for token in group:
                        chosen[token].append((number, line, field, value))
        first += len(lines)
        yield
    return chosen.get(agent, chosen["*"])


def _directive(line: str) -> tuple[int | None, str]:
    """What a line begins with and what it says; the colon may be missing, as Google and Protego have it."""
    field, colon, value = line.partition(":")
    kind = _FIELDS.get(field.rstrip().lower()) if colon else None
    if kind is not None:
        return kind, value.strip()
    if colon and not value[:1].strip():
        # The colon ends a field that nobody knows.
        return None, ""
    words = line.split()
    for count in (1, 2):
        kind = _FIELDS.get(" ".join(words[:count]).lower())
        if kind is not None:
            return kind, " ".join(words[count:])
    return None, ""


def _token_of(value: str) -> str:
    """The product token of a User-agent line: `examplebot` of `ExampleBot/1.0`."""
    if value.startswith("*"):
        return "*"
    token = _TOKEN.match(value)
    return token.group().lower() if token else ""
