"""Keys and SHA-256, texts of hexadecimal digits, as numbers of 128 bits.

They take 16 bytes instead of the 48 and 80 that polars needs for the texts. Keys sort in the same order.
"""

from __future__ import annotations

import binascii
from functools import partial, reduce
from operator import xor

import numpy as np
import polars as pl
import pyarrow as pa

from curation.internal_columns import internal
from curation.storage.column_scan import collect_columns

DIGITS = 32
"""Of 128 bits: among 10 billion different values the chance that any two meet is below 1e-18."""
_LOWER = np.uint64(0x2020202020202020)
"""The bit that digits and lower-case letters have, and upper-case letters do not, of each of eight."""


def numbered(texts: pl.Expr, digits: int = DIGITS) -> pl.Expr:
    """UInt128: texts of exactly so many lower-case hexadecimal digits as numbers, null for all others.

    Args:
        texts: String, or Null.
        digits: A multiple of 32. Of more, pieces of 32 are folded into one by XOR: of hashes that is a hash, too.
    """
    return texts.cast(pl.String).map_batches(partial(_numbers, digits=digits), pl.UInt128, is_elementwise=True)


def _numbers(texts: pl.Series, digits: int) -> pl.Series:
    """What `numbered` is of some texts."""
    plain = (texts.str.len_bytes() == digits).fill_null(False)
    numbers = _of_plain(texts.filter(plain), digits)
    if numbers is None:
        # Rare, so that it may be slow: one that only is as long as the others makes all be looked at one by one.
        plain = texts.str.contains(rf"^[0-9a-f]{{{digits}}}$").fill_null(False)
        numbers = _of_plain(texts.filter(plain), digits)
    if numbers is None:
        raise AssertionError("lower-case hexadecimal digits could not be read")
    if plain.all():
        return numbers.alias(texts.name)
    return numbers.gather((plain.cum_sum() - 1).set(~plain, None)).alias(texts.name)


def _of_plain(texts: pl.Series, digits: int) -> pl.Series | None:
    """The numbers of texts of so many bytes each, all in one go; None if any is not of lower-case digits."""
    array = texts.to_arrow()
    places, held = array.buffers()[1:]
    if not len(array) or held is None:
        return pl.Series([], dtype=pl.UInt128)
    begin = int(np.frombuffer(places, np.int64, 1, 8 * array.offset)[0])
    spelled = memoryview(held)[begin : begin + len(array) * digits]
    if np.bitwise_and.reduce(np.frombuffer(spelled, np.uint64)) & _LOWER != _LOWER:
        return None
    try:
        values = np.frombuffer(binascii.unhexlify(spelled), np.uint64).reshape(len(array), -1, 2)
    except binascii.Error:
        return None
    folded = np.ascontiguousarray(reduce(xor, values.swapaxes(0, 1)))
    whole = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(array), [None, pa.py_buffer(folded)])
    return pl.Series(whole).bin.reinterpret(dtype=pl.UInt128, endianness="big")


def numbers_or_texts(frame: pl.LazyFrame, digits: dict[str, int], others: dict[str, pl.Expr]) -> pl.DataFrame:
    """Columns of a frame, those of hexadecimal digits as numbers; if any of these holds another text, all as text.

    Args:
        frame: What they are columns of.
        digits: Of each column of hexadecimal digits, how many its texts have.
        others: Further columns.
    """
    texts = [pl.col(name) for name in digits]
    numbers = [numbered(pl.col(name), count).alias(name) for name, count in digits.items()]
    absent = {internal(f"no_{name}"): pl.col(name).is_null() for name in digits}
    held = collect_columns(frame.select(*numbers, **absent, **others))
    if any(held[name].null_count() != held[internal(f"no_{name}")].sum() for name in digits):
        return collect_columns(frame.select(*texts, **others))
    return held.drop(absent)


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
