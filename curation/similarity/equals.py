"""Which values are equal, for many of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

Places = npt.NDArray[np.int32]
Piece = TypeVar("Piece")
Result = TypeVar("Result")
_SEED = 20_011
_LEAST_PIECE = 1 << 20
"""Fewer values are sorted before another thread has begun."""
_CACHED = 1 << 16
"""Values that are hashed or compared at a time."""


def hashed(values: pl.Expr) -> pl.Expr:
    """UInt64: equal for equal values, and hardly ever for others; null for null.

    The same in every process that runs the same release of polars.
    """
    return pl.when(values.is_not_null()).then(values.hash(_SEED))


def first_of_equals(values: pl.Series) -> Places:
    """The first place with the same value; its own place for null.

    Values are compared by a few bits of their hashes, which are sorted together with their places: 64 bits that sort
    several times faster than hashes in a table, and in the memory of one array. What seems equal is compared in full.

    Args:
        values: (n,) of any type that can be compared and hashed.

    Returns:
        (n,) int32.
    """
    behind, before, begins = _like_the_one_before(*_placed_hashes(values))
    first = np.arange(len(values), dtype=np.int32)
    if not len(behind):
        return first
    run = np.cumsum(begins, dtype=np.int32) - np.int32(1)
    first[behind] = before[begins][run]
    # Of hundreds of chunks, as a streamed column has, each value would be searched for.
    values = values.rechunk()
    differs = (values.gather(behind) != values.gather(before)).to_numpy()
    if differs.any():
        # Values that differ share their bits: rare, so that these runs alone are grouped by value.
        mixed = np.zeros(int(run[-1]) + 1, bool)
        mixed[run[differs]] = True
        inside = mixed[run]
        places = np.union1d(behind[inside], before[inside]).astype(np.int32)
        frame = pl.DataFrame({"value": values.gather(places), "place": places})
        first[places] = frame.select(pl.col("place").min().over("value")).to_series().to_numpy()
    return first


def _placed_hashes(values: pl.Series) -> tuple[npt.NDArray[np.uint64], np.uint64]:
    """Sorted: the upper bits of the hash of each value that is not null, above its place; and the bits of a place."""
    bits = np.uint64(max(len(values) - 1, 1).bit_length())
    placed = _placed(values, bits, _hashes)
    if values.null_count():
        placed = placed[values.is_not_null().to_numpy()]
    _sort(placed)
    return placed, bits


def _hashes(values: pl.Series) -> npt.NDArray[np.uint64]:
    return values.hash(_SEED).to_numpy()


def _like_the_one_before(
    placed: npt.NDArray[np.uint64], bits: np.uint64
) -> tuple[Places, Places, npt.NDArray[np.bool_]]:
    """What has the upper bits of the one before. A piece at a time, which stays in the processor's cache.

    Returns:
        (m,) int32: The places of what has them.
        (m,) int32: The places of those before.
        (m,) bool: Whether the one before is the first of its run.
    """
    mask = (np.uint64(1) << bits) - np.uint64(1)

    def found(start: int) -> tuple[Places, Places, npt.NDArray[np.bool_]]:
        piece = placed[start - 1 : start + _CACHED]
        equal = np.empty(len(piece), bool)
        equal[0] = start > 1 and (piece[0] ^ placed[start - 2]) >> bits == 0
        np.equal((piece[1:] ^ piece[:-1]) >> bits, 0, out=equal[1:])
        at = np.flatnonzero(equal[1:])
        places = (piece & mask).astype(np.int32)
        return places[at + 1], places[at], ~equal[at]

    none = np.zeros(0, np.int32)
    pieces = [(none, none, np.zeros(0, bool)), *_of_each(found, range(1, len(placed), _CACHED), len(placed))]
    behind, before, begins = zip(*pieces, strict=True)
    return np.concatenate(behind), np.concatenate(before), np.concatenate(begins)


def _of_each(function: Callable[[Piece], Result], pieces: Iterable[Piece], values: int) -> list[Result]:
    """What a function returns for each piece, in their order: on all processors, if the pieces have many values."""
    if values < _LEAST_PIECE:
        return [function(piece) for piece in pieces]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        return list(threads.map(function, pieces))


def _sort(values: npt.NDArray[np.uint64]) -> None:
    """Sorts in place, on all processors."""
    pieces = min(len(os.sched_getaffinity(0)), len(values) // _LEAST_PIECE)
    if pieces < 2:
        values.sort()
        return
    cuts = [len(values) * piece // pieces for piece in range(1, pieces)]
    values.partition(cuts)
    with ThreadPoolExecutor(pieces) as threads:
        for _ in threads.map(np.ndarray.sort, np.split(values, cuts)):
            pass


def rows_that_share(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows whose value others have too.

    Args:
        frame: `row` (Int64) and `value` (UInt64), which may be null for what has none.

    Returns:
        `row` (Int64), in no order.
    """
    frame = frame.drop_nulls("value")
    values = frame["value"]
    bits = np.uint64(max(len(values) - 1, 1).bit_length())
    placed = _placed(values, bits, pl.Series.to_numpy)
    _sort(placed)
    places = _of_equal_neighbours(placed, bits)
    del placed
    # The upper bits of two values may be equal by chance: the few that are left are compared in full.
    few, of = (frame[name].rechunk().gather(places).to_numpy() for name in ("value", "row"))
    order = np.argsort(few, kind="stable")
    few, of = few[order], of[order]
    same = few[1:] == few[:-1]
    kept = np.zeros(len(few), bool)
    kept[1:] = same
    kept[:-1] |= same
    return pl.DataFrame({"row": of[kept]}, {"row": pl.Int64})


def _placed(
    values: pl.Series, bits: np.uint64, hashes: Callable[[pl.Series], npt.NDArray[np.uint64]]
) -> npt.NDArray[np.uint64]:
    """(n,) uint64: the upper bits of each hash, its place below them. No more is held than that.

    Args:
        values: (n,).
        bits: Of a place.
        hashes: Of some values: (m,) uint64.
    """
    placed = np.empty(len(values), np.uint64)
    upper = ~((np.uint64(1) << bits) - np.uint64(1))

    def place(piece: tuple[int, pl.Series]) -> None:
        start, some = piece
        own = placed[start : start + len(some)]
        np.bitwise_and(hashes(some), upper, out=own)
        own |= np.arange(start, start + len(some), dtype=np.uint64)

    _of_each(place, _pieces(values), len(values))
    return placed


def _pieces(values: pl.Series) -> Iterator[tuple[int, pl.Series]]:
    """Yields values some at a time, each piece with its place."""
    begin = 0
    for chunk in values.get_chunks():
        for start in range(0, len(chunk), _CACHED):
            yield begin + start, chunk[start : start + _CACHED]
        begin += len(chunk)


def _of_equal_neighbours(placed: npt.NDArray[np.uint64], bits: np.uint64) -> npt.NDArray[np.int64]:
    """The places of hashes whose upper bits are those of the one before or behind them, in the order of hashes."""
    found = []
    for start in range(0, len(placed), _LEAST_PIECE):
        # One more at each side, to be compared with.
        before = max(start - 1, 0)
        piece = placed[before : start + _LEAST_PIECE + 1]
        equal = (piece[1:] ^ piece[:-1]) >> bits == 0
        shared = np.zeros(len(piece), bool)
        shared[1:] = equal
        shared[:-1] |= equal
        own = slice(start - before, start - before + _LEAST_PIECE)
        found.append((piece[own][shared[own]] & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64))
    return np.concatenate([np.zeros(0, np.int64), *found])
