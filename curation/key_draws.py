"""Chance that hangs on keys alone: the same on every machine, whatever the order of the rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

_STEP = 0x9E3779B97F4A7C15
_FACTORS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST_SHIFT = np.uint64(31)


def key_draws(keys: pl.Series, seed: int) -> npt.NDArray[np.uint64]:
    """A random number for each key: (n,) uint64.

    Source: Steele, Lea, Flood: Fast splittable pseudorandom number generators (OOPSLA 2014), SplitMix64, of the first
    64
        bits of the key and the seed.

    Args:
        keys: (n,) String, 16 hexadecimal digits or more.
        seed: Another seed, other numbers.
    """
    digits = keys.str.slice(0, 16).str.to_integer(base=16, dtype=pl.UInt64).to_numpy()
    return _mixed(digits ^ _mixed(np.array([seed], np.uint64)))


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        values = values + np.uint64(_STEP)
        for shift, factor in _FACTORS:
            values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(values ^ (values >> _LAST_SHIFT), np.uint64)
