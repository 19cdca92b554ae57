"""The rules of one robots.txt that are about this crawler, by RFC 9309, and the line that forbids a URL."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import cached_property

from protego import Protego

_TOKEN = re.compile(r"[A-Za-z0-9_.\-]+")
# These stand for the whole site: they neither belong to a group nor end one.
_SITEWIDE = frozenset({"sitemap", "host"})
_AGENT_FIELDS = frozenset({"user-agent", "useragent", "user agent"})
# How the lines begin that Protego takes for rules or waits, typing mistakes included. No other line is kept.
_RULES = ("di", "allow", "crawl", "request")
_LINE_CHARS = 150
# No path is as long as this: such a line is ignored.
_MAX_LINE_CHARS = 2000
# What finding the line that forbids a URL goes through at a time.
_GROUP_LINES = 64
# What the rules of a file take in memory, as measured: one with a wildcard is kept as its parts too.
_FILE_BYTES = 3000
_RULE_BYTES = 500
_WILDCARD_BYTES = 1000

_NumberedLines = list[tuple[int, str]]


class RobotsRules:
    """The rules of the groups that name this crawler's product token, or else of those for all (`*`).

    The token must be the group's whole token, whatever its case: a group for `curation` says nothing to
    `curation-bot`. Paths are matched by Protego: the longest rule counts, and `allow` where two are equally long.

    Source: RFC 9309, section 2.2; the tolerance of typing mistakes is Protego's.
    """

    def __init__(self, text: str, agent: str) -> None:
        """Takes the file and the crawler's product token."""
        lines = _lines_about(text.removeprefix("\ufeff"), agent.lower())
        self._rules = _parsed(lines)
        # The longest line that forbids a URL is told.
        self._disallowing = sorted(
            (line for line in lines if line[1].lower().startswith("di")), key=lambda line: len(line[1]), reverse=True
        )
        self.interval_s = _interval_s(self._rules)
        """Least seconds between two requests, by Crawl-delay or Request-rate; 0 where neither is there."""
        self.size_bytes = _FILE_BYTES + sum(_size_of(line) for _, line in lines)
        """About so much memory is taken."""

    def objection(self, url: str) -> str | None:
        """The line that forbids the URL, with its number, or None where it may be fetched."""
        if self._rules.can_fetch(url, "*"):
            return None
        number, line = self._forbidding(url)
        return f"line {number}: {line[:_LINE_CHARS]}"

    def _forbidding(self, url: str) -> tuple[int, str]:
        for lines, rules in self._groups:
            if not rules.can_fetch(url, "*"):
                return _first_forbidding(lines, url)
        return 0, "Disallow"

    @cached_property
    def _groups(self) -> list[tuple[_NumberedLines, Protego]]:
        """The lines that forbid something, some at a time: most sites are never asked for one."""
        starts = range(0, len(self._disallowing), _GROUP_LINES)
        groups = [self._disallowing[start : start + _GROUP_LINES] for start in starts]
        return [(lines, _parsed(lines)) for lines in groups]


def _first_forbidding(lines: _NumberedLines, url: str) -> tuple[int, str]:
    """The first line that forbids the URL; one of them does."""
    while len(lines) > 1:
        half = len(lines) // 2
        first = lines[:half]
        lines = lines[half:] if _parsed(first).can_fetch(url, "*") else first
    return lines[0]


def _interval_s(rules: Protego) -> float:
    rate = rules.request_rate("*")
    try:
        by_rate = rate.seconds / rate.requests if rate else 0.0
    except OverflowError:
        by_rate = math.inf
    return max(rules.crawl_delay("*") or 0.0, by_rate)


def _size_of(line: str) -> int:
    # A line that forbids is kept twice, see `_groups`.
    return 2 * (_RULE_BYTES + (_WILDCARD_BYTES if "*" in line or "$" in line else 0) + len(line))


def _parsed(lines: Iterable[tuple[int, str]]) -> Protego:
    return Protego.parse("\n".join(["User-agent: *", *(line for _, line in lines)]))


def _lines_about(text: str, agent: str) -> _NumberedLines:
    """The rule lines of the groups for the agent or, if no group names it, of those for all."""
    chosen: dict[str, _NumberedLines] = {"*": []}
    group: set[str] = set()
    group_is_open = False
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        line = raw.partition("#")[0].strip()
        field, value = _field_of(line)
        if not line or len(line) > _MAX_LINE_CHARS or field in _SITEWIDE:
            continue
        if field not in _AGENT_FIELDS:
            group_is_open = False
            if line.lower().startswith(_RULES):
                for token in group:
                    chosen[token].append((number, line))
            continue
        if not group_is_open:
            group, group_is_open = set(), True
        token = _token_of(value)
        if token in ("*", agent):
            chosen.setdefault(token, [])
            group.add(token)
    return chosen.get(agent, chosen["*"])


def _field_of(line: str) -> tuple[str, str]:
    field, colon, value = line.partition(":")
    return (field.rstrip().lower(), value.strip()) if colon else ("", "")


def _token_of(value: str) -> str:
    """The product token of a User-agent line: `examplebot` of `ExampleBot/1.0`."""
    if value.startswith("*"):
        return "*"
    token = _TOKEN.match(value)
    return token.group().lower() if token else ""
