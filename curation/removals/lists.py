"""The lists that a takedown is given: text files, one key, URL or domain in each line."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Literal

from publicsuffixlist import PublicSuffixList
from yarl import URL

from curation.errors import RecipeError
from curation.row_keys import KEY_BYTES
from curation.text.line_list import lines_of, read_file
from schemas.records import RemovalList

Kind = Literal["keys", "urls", "domains"]
_KEY = re.compile(rf"[0-9a-f]{{{2 * KEY_BYTES}}}")
_MOST_MISTAKES = 10


def read_list(kind: Kind, path: str) -> tuple[RemovalList, list[str]]:
    """The record of a list, and its entries, each once. Empty lines, and those that begin with `#`, are no entries.

    Raises:
        RecipeError: It cannot be read, is empty, or has lines that are none of its kind: all of them are told.
    """
    data = read_file(path)
    entries: dict[str, None] = {}
    mistakes = []
    for line in lines_of(data, path):
        try:
            entries[_READERS[kind](line.text)] = None
        except ValueError as error:
            mistakes.append(f"{path}:{line.number}: {error}")
    if mistakes:
        more = f"\n... and {len(mistakes) - _MOST_MISTAKES} more" if len(mistakes) > _MOST_MISTAKES else ""
        raise RecipeError("\n".join(mistakes[:_MOST_MISTAKES]) + more)
    if not entries:
        raise RecipeError(f"{path}: the list is empty; write one of the {kind} in each line")
    return RemovalList(kind=kind, entries=len(entries), sha256=sha256(data).hexdigest()), list(entries)


def _key(text: str) -> str:
    if not _KEY.fullmatch(text.lower()):
        raise ValueError(
            f"{text[:80]!r} is no key: keys are {2 * KEY_BYTES} hexadecimal digits, as the ledger has them"
        )
    return text.lower()


def _url(text: str) -> str:
    if ":" not in text:
        raise ValueError(f"{text[:80]!r} is no URL: it has no scheme; whole domains are given with --domains")
    return text


def _domain(text: str) -> str:
    name = text.lower().removeprefix("*.").strip(".")
    try:
        host = URL(f"http://{name}/").raw_host
    except ValueError:
        host = None
    if not host or "/" in name or ":" in name or "@" in name:
        raise ValueError(f"{text[:80]!r} is no domain: write it as example.org; its subdomains are meant too")
    if "." in host and PublicSuffixList(accept_unknown=False).is_public(host):
        raise ValueError(f"{text[:80]!r} is a public suffix, below which everybody has domains; name those")
    return host


_READERS: dict[Kind, Callable[[str], str]] = {"keys": _key, "urls": _url, "domains": _domain}
