"""The key of a row: a hash of its content, the same on every machine and for every part size."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

KEY_BYTES = 16
"""128 bits: among 10 billion rows the chance of any two keys meeting is below 1e-18."""


def row_keys(source: str, urls: Iterable[str | None], captions: Iterable[str | None]) -> list[str]:
    """The keys of rows, 32 hexadecimal digits each.

    Null differs from the empty string, and no two different triples share the hashed bytes: each
    field is preceded by its length.
    """
    prefix = blake2b(_framed(source), digest_size=KEY_BYTES)
    keys = []
    for url, caption in zip(urls, captions, strict=True):
        digest = prefix.copy()
        digest.update(_framed(url) + _framed(caption))
        keys.append(digest.hexdigest())
    return keys


def _framed(value: str | None) -> bytes:
    if value is None:
        return b"-"
    data = value.encode("utf-8", "surrogatepass")
    return b"%d:" % len(data) + data
