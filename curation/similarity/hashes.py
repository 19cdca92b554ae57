"""256-bit perceptual hashes as arrays of words."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

BITS = 256
WORD_BITS = 32
WORDS = BITS // WORD_BITS

Hashes: TypeAlias = npt.NDArray[np.uint32]
"""(n, 8) uint32, one row per hash."""


def hashes_from_hex(texts: pl.Series) -> Hashes:
    """Reads hashes of 64 hexadecimal digits.

    Args:
        texts: (n,) String without nulls.

    Raises:
        ValueError: A text is no 256-bit hash.
    """
    raw = texts.str.decode("hex", strict=False)
    lengths = raw.bin.size()
    wrong = (lengths.fill_null(0) != BITS // 8).arg_true()
    if not wrong.is_empty():
        raise ValueError(f"{texts[wrong[0]]!r} is not a hash of {BITS // 4} hexadecimal digits")
    return np.frombuffer(b"".join(raw.to_list()), np.uint32).reshape(-1, WORDS)


def distances(left: Hashes, right: Hashes) -> npt.NDArray[np.int16]:
    """Hamming distances, row by row: (n,) int16, 0 to 256."""
    return np.asarray(np.bitwise_count(left ^ right).sum(axis=1, dtype=np.int16))
