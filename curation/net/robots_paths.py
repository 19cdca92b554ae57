"""Which rule of a robots.txt decides on a path: the longest that matches, found in bounded time.

A file may hold forty thousand rules, made so that each takes long to compare, and every URL of the site is compared
with them while nothing else happens on the event loop. So rules without wildcards are looked up, rules with some are
compared only where three characters of theirs occur in the path, and what a comparison costs is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote, urlsplit

SLICE_CHARS = 4096
"""So much of a file is read in one go: a millisecond or two, whatever it holds."""

_MAX_STEPS = 2_000_000
"""Comparing a path may take so many steps of about a nanosecond. Ordinary files take a thousandth of it."""
_RULE_STEPS = 500
_PART_STEPS = 250
_FEW = 64
"""So many rules with wildcards are compared one and all: sooner done than to find out which need not be."""
_GRAM = 3
# What a rule takes in memory, what it takes for each part that it is cut into and for being cut, as measured.
_RULE_BYTES = 300
_STAR_BYTES = 100
_WILDCARD_BYTES = 200

# Escapes that are left as they are where spellings are made one: a quoted slash is no slash, and `%25` no `%`.
_KEPT = "/%"
_KEPT_IN_RULES = "/%*"
# Reserved in URLs, and nothing to rules: quoted, they would make a rule longer than one that its owner wrote longer.
_RESERVED = "=?&:@!+,;'()[]"
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_PLAIN_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*(/(?!/)[A-Za-z0-9_.~/=-]*)")
_PLAIN_RULE = re.compile(r"[A-Za-z0-9_.~/=*-]+\$?")
_STARS = re.compile(r"\*+")


class PathRule(NamedTuple):
    """One rule.

    Attributes:
        rank: The rule of the highest rank among those that match decides: the longest, `allow` before `disallow`.
        number: Of its line.
        line: As it stands in the file.
    """

    rank: int
    number: int
    line: str

    @property
    def allows(self) -> bool:
        """Whether what it decides on may be fetched."""
        return self.rank % 2 == 1


class _Wildcard(NamedTuple):
    """A pattern with `*`, cut at them: the first part is a prefix, the last one with `$` the end."""

    rule: PathRule
    parts: list[str]
    anchored: bool


class TooManySteps(Exception):
    """Whether a path may be fetched would take too long to find out."""


class PathRules:
    """The rules of one group.

    Source: RFC 9309, section 2.2.2. Beyond it, as Protego does: a `$` that is no end may be meant, `/index.html` that
        is allowed allows its folder, a rule without a leading slash matches nothing, bytes that are no UTF-8 are equal.
    """

    def __init__(self) -> None:
        self._plain: dict[str, PathRule] = {}
        self._exact: dict[str, PathRule] = {}
        self._patterns: dict[str, PathRule] = {}
        self._lengths: list[int] = []
        self.size_bytes = 0
        """About so much memory is taken."""
        self._wildcards: dict[str, list[_Wildcard]] = {}

    @property
    def wildcards(self) -> int:
        """How many have a `*`."""
        return len(self._patterns)

    def add(self, allows: bool, value: str, number: int, line: str) -> None:
        """Adds a rule; of those with equal patterns one is kept."""
        if "$" in value:
            # The end of a path, or a dollar in it: nobody knows.
            self._add_pattern(allows, rule_pattern(value.replace("$", "%24")), number, line)
        self._add_pattern(allows, rule_pattern(value), number, line)

    def finish(self) -> Iterator[None]:
        """Has to be gone through behind the last `add`; something else may be done in between."""
        self._lengths = sorted({len(pattern) for pattern in self._plain}, reverse=True)
        self._wildcards.clear()
        taken = 0
        for pattern, rule in self._patterns.items():
            parts = _STARS.sub("*", pattern.removesuffix("$")).split("*")
            # What a path must hold: endings tell rules apart better than beginnings.
            gram = max(parts, key=len)[-_GRAM:]
            self._wildcards.setdefault(gram if len(gram) == _GRAM else "", []).append(
                _Wildcard(rule, parts, pattern.endswith("$"))
            )
            taken += len(pattern)
            if taken > SLICE_CHARS:
                taken = 0
                yield

    def deciding(self, path: str) -> PathRule | None:
        """The rule that decides on a path (see `url_path`), None where none matches.

        Raises:
            TooManySteps: It would take too long to find out.
        """
        best = self._exact.get(path)
        for length in self._lengths:
            plain = self._plain.get(path[:length]) if length <= len(path) else None
            if plain is not None:
                best = plain if best is None or plain.rank > best.rank else best
                break
        if not self._wildcards:
            return best
        steps, floor = 0, -1 if best is None else best.rank
        grams = self._wildcards if len(self._patterns) <= _FEW else self._wildcards.keys() & _grams(path)
        for gram in grams:
            for rule, parts, anchored in self._wildcards[gram]:
                if rule.rank <= floor or not path.startswith(parts[0]):
                    continue
                # The sum must not depend on the order, which is another one in every process.
                matches, taken = _compare(path, parts, anchored)
                steps += taken
                if steps > _MAX_STEPS:
                    raise TooManySteps
                if matches and (best is None or (rule.rank, -rule.number) > (best.rank, -best.number)):
                    best = rule
        return best

    def _add_pattern(self, allows: bool, pattern: str, number: int, line: str) -> None:
        if not pattern:
            return
        rule = PathRule(2 * len(pattern) + allows, number, line)
        if "*" in pattern:
            rules = self._patterns
        elif pattern.endswith("$"):
            pattern, rules = pattern[:-1], self._exact
        else:
            rules = self._plain
        known = rules.get(pattern)
        if known is None:
            stars = pattern.count("*")
            self.size_bytes += _RULE_BYTES + 2 * (len(pattern) + len(line))
            self.size_bytes += _STAR_BYTES * stars + _WILDCARD_BYTES * (stars > 0)
        if known is None or rule.rank > known.rank:
            rules[pattern] = rule
        if allows and pattern.endswith("/index.html") and rules is not self._exact:
            self._add_pattern(True, pattern.removesuffix("index.html") + "$", number, line)


def url_path(url: str) -> str:
    """Path and query of a URL, in the spelling that rules are compared in."""
    plain = _PLAIN_URL.fullmatch(url)
    if plain is not None:
        return plain[1]
    url = url.partition("#")[0]
    parts = urlsplit(url)
    # A question mark with nothing behind it can be matched, too.
    path = _respelt(f"{parts.path}?{parts.query}" if "?" in url else parts.path, _KEPT)
    return path if path.startswith("/") else f"/{path}"


def rule_pattern(value: str) -> str:
    """The value of a rule in the same spelling, with `*` and a last `$` as they are."""
    if _PLAIN_RULE.fullmatch(value):
        return value
    if value.startswith(("https://", "http://")):
        value = f"/{value}"
    end = "$" if value.endswith("$") else ""
    return _respelt(value.removesuffix("$"), _KEPT_IN_RULES) + end


def _respelt(text: str, kept: str) -> str:
    def unquoted(escapes: re.Match[str]) -> str:
        text = bytes.fromhex(escapes[0].replace("%", "")).decode("utf-8", "replace")
        return text.translate(quoted)

    quoted = {ord(character): f"%{ord(character):02X}" for character in kept}
    text = _ESCAPES.sub(unquoted, text) if "%" in text else text
    return quote(text, safe=kept + _RESERVED)


def _grams(path: str) -> set[str]:
    grams = {path[at : at + _GRAM] for at in range(len(path))}
    # Rules whose parts are all shorter.
    grams.add("")
    return grams


def _compare(path: str, parts: list[str], anchored: bool) -> tuple[bool, int]:
    """Whether the parts occur in the path one after the other, and the steps it took at most."""
    steps, position = _RULE_STEPS, len(parts[0])
    for part in parts[1:-1]:
        found = path.find(part, position)
        if found < 0:
            return False, steps + _steps_of_a_miss(path, part, position)
        steps += _PART_STEPS + (found - position + 1) * len(part)
        position = found + len(part)
    last = parts[-1]
    if anchored:
        return len(path) - len(last) >= position and path.endswith(last), steps + len(last)
    found = path.find(last, position)
    if found < 0:
        return False, steps + _steps_of_a_miss(path, last, position)
    return True, steps + (found - position + 1) * len(last)


def _steps_of_a_miss(path: str, part: str, position: int) -> int:
    # The search looks for the last character first, and compares the others where it finds that.
    return len(path) - position + len(part) + path.count(part[-1], position) * len(part)
