"""A parser of arguments that passes on what it does not know, to be parsed by somebody else's."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import Any


class PassingParser(ArgumentParser):
    """Like any other until `passes_to` is called.

    From then on, arguments that it does not know must be known to another parser: what that one makes of them is
    `passed` in the namespace, and the words themselves are `passed_words`.
    """

    _other: Callable[[Namespace], ArgumentParser] | None = None

    def passes_to(self, other: Callable[[Namespace], ArgumentParser]) -> None:
        """Sets who parses the rest, given what was parsed already."""
        self._other = other

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parses everything; see the class."""
        known, words = super().parse_known_args(args, namespace)
        if self._other is None:
            if words:
                # Here, not by whoever called: it would show the usage of all commands, not of this one.
                self.error(f"unrecognized arguments: {' '.join(words)}")
            return known, words
        known.passed = self._other(known).parse_args(words)
        known.passed_words = words
        return known, []
