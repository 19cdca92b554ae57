"""Keys and SHA-256, texts of hexadecimal digits, as numbers of 128 bits.

They take 16 bytes instead of the 48 and 80 that polars needs for the texts. Keys sort in the same order.
"""

from __future__ import annotations

from functools import reduce
from operator import xor

import numpy as np
import polars as pl
import pyarrow as pa

DIGITS = 32
"""Of 128 bits: among 10 billion different values the chance that any two meet is below 1e-18."""


def numbered(texts: pl.Expr, digits: int = DIGITS) -> pl.Expr:
    """UInt128: texts of exactly so many lower-case hexadecimal digits as numbers, null for all others.

    Args:
        texts: String.
        digits: A multiple of 32. Of more, pieces of 32 are folded into one by XOR: of hashes that is a hash, too.
    """
    plain = pl.when(texts.str.contains(rf"^[0-9a-f]{{{digits}}}$")).then(texts)
    pieces = [plain.str.slice(start, DIGITS).str.decode("hex", strict=False) for start in range(0, digits, DIGITS)]
    return reduce(xor, [piece.bin.reinterpret(dtype=pl.UInt128, endianness="big") for piece in pieces])


def numbers_or_texts(frame: pl.LazyFrame, digits: dict[str, int], others: dict[str, pl.Expr]) -> pl.DataFrame:
    """Columns of a frame, those of hexadecimal digits as numbers; if any of these holds another text, all as text.

    Args:
        frame: What they are columns of.
        digits: Of each column of hexadecimal digits, how many its texts have.
        others: Further columns.
    """
    texts = [pl.col(name) for name in digits]
    numbers = [numbered(pl.col(name), count).alias(name) for name, count in digits.items()]
    odd = [text.is_not_null() & number.is_null() for text, number in zip(texts, numbers, strict=True)]
    held = frame.select(*numbers, pl.any_horizontal(odd).alias("odd"), **others).collect(engine="streaming")
    if held["odd"].any():
        return frame.select(*texts, **others).collect(engine="streaming")
    return held.drop("odd")


def digits_of(numbers: pl.Series) -> pl.Series:
    """The texts of 32 digits that numbers were made of: (n,) String; texts, and nulls, stay what they are."""
    if numbers.dtype != pl.UInt128:
        return numbers
    number = pl.col("number").fill_null(0)
    halves = pl.DataFrame({"number": numbers}).select(
        high=(number // 2**64).cast(pl.UInt64), low=(number % 2**64).cast(pl.UInt64)
    )
    digits = np.stack([halves["high"], halves["low"]], axis=1).astype(">u8").tobytes().hex().encode()
    places = np.arange(len(numbers) + 1, dtype=np.int64) * DIGITS
    texts = pa.LargeStringArray.from_buffers(len(numbers), pa.py_buffer(places), pa.py_buffer(digits))
    return pl.Series(numbers.name, texts).set(numbers.is_null(), None)
