"""Chance that depends on nothing but a row's key and a seed, the same on every machine."""

from __future__ import annotations

from hashlib import blake2b

import polars as pl

_WRAP = 2**64
_STEP = 0x9E3779B97F4A7C15
_FIRST_FACTOR = 0xBF58476D1CE4E5B9
_SECOND_FACTOR = 0x94D049BB133111EB
_DRAWN_BITS = 53
"""As many as a float holds exactly."""


def mixed(value: int) -> int:
    """A 64-bit hash of a 64-bit number, the same on every machine.

    Source: Steele, Lea, Flood: Fast splittable pseudorandom number generators (OOPSLA 2014), SplitMix64.
    """
    value = (value + _STEP) % _WRAP
    value = (value ^ (value >> 30)) * _FIRST_FACTOR % _WRAP
    value = (value ^ (value >> 27)) * _SECOND_FACTOR % _WRAP
    return value ^ (value >> 31)


def mixed_column(value: pl.Expr) -> pl.Expr:
    """`mixed` of a UInt64 column: polars' products wrap, and a division by a power of two is a shift."""
    value = value + uint64(_STEP)
    value = (value ^ (value // uint64(2**30))) * uint64(_FIRST_FACTOR)
    value = (value ^ (value // uint64(2**27))) * uint64(_SECOND_FACTOR)
    return value ^ (value // uint64(2**31))


def uint64(value: int) -> pl.Expr:
    """A UInt64 constant."""
    return pl.lit(value, dtype=pl.UInt64)


def key_draw(key: str, seed: int) -> float:
    """A number in [0, 1) drawn for a key: 53 random bits."""
    return (mixed(int(key[:16], 16) ^ mixed(seed)) >> 64 - _DRAWN_BITS) / 2.0**_DRAWN_BITS


def key_bits(seed: int) -> pl.Expr:
    """64 bits (UInt64) drawn for the key of each row (32 hexadecimal digits)."""
    digits = pl.col("key").str.slice(0, 16).str.to_integer(base=16, dtype=pl.UInt64)
    return mixed_column(digits ^ uint64(mixed(seed)))


def share_of_bits(bits: pl.Expr) -> pl.Expr:
    """64 drawn bits as a number in [0, 1); of `key_bits` it is what `key_draw` gives."""
    return (bits // uint64(2 ** (64 - _DRAWN_BITS))).cast(pl.Float64) / 2.0**_DRAWN_BITS


def purpose_seed(purpose: str, seed: int) -> int:
    """The seed of a draw for one purpose: draws for different purposes have nothing to do with each other."""
    return int.from_bytes(blake2b(f"{seed} {purpose}".encode(), digest_size=8).digest(), "big")
