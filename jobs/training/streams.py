"""Samples of shards in an order that depends on nothing but a seed, and can be taken up anywhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from curation.errors import RecipeError
from jobs.shard_folders import open_by_webdataset, tars_in

_SHARD_ORDER_SALT, _BUFFER_SALT = 11, 12


@dataclass(frozen=True, slots=True)
class Position:
    """How far a stream has been read: the epoch, and how many of its samples were taken."""

    epoch: int = 0
    taken: int = 0


@dataclass(frozen=True, slots=True)
class ShardSample:
    """One sample as it lies in its tar: `files` maps extensions to bytes."""

    shard: str
    key: str
    files: dict[str, bytes]


def list_shards(shards: str | Path | Sequence[str | Path]) -> list[str]:
    """Returns the tars of a folder, sorted, or the given ones as they are.

    Raises:
        RecipeError: if there are none.
    """
    found = tars_in(shards)
    if not found:
        raise RecipeError(f"no shards: {shards} has no file that ends in .tar")
    return found


def read_shards(shards: Sequence[str]) -> Iterator[ShardSample]:
    """Reads the samples of shards one after the other."""
    import webdataset

    open_by_webdataset(shards)
    # Which process reads which shards is settled before: webdataset must not split them once more, or refuse to.
    dataset = webdataset.WebDataset(list(shards), shardshuffle=False, nodesplitter=_every_shard)
    for raw in dataset:
        files = {name: body for name, body in raw.items() if not name.startswith("__")}
        yield ShardSample(str(raw["__url__"]), str(raw["__key__"]), files)


def _every_shard(urls: Iterator[dict[str, str]]) -> Iterator[dict[str, str]]:
    return urls


class ShardStream:
    """The endless stream of samples of some shards.

    Each epoch visits the shards in an order of its own and shuffles within a buffer. To take up a
    stream its epoch is read again from the start, without decoding, up to the position.
    """

    def __init__(self, shards: Sequence[str], *, seed: int, number: int, buffer: int) -> None:
        """Describes the stream; reads nothing.

        Args:
            shards: the stream's shards.
            seed: of the training.
            number: of the stream, so that streams differ.
            buffer: samples to shuffle among.
        """
        self._shards = list(shards)
        self._seeds = (seed, number)
        self._buffer = buffer

    def read_from(self, position: Position) -> Iterator[tuple[ShardSample, Position]]:
        """Yields samples with the position after each.

        Raises:
            RecipeError: if the shards hold no sample.
        """
        epoch, skipped = position.epoch, position.taken
        while True:
            taken = 0
            for sample in self._read_epoch(epoch):
                taken += 1
                if taken > skipped:
                    yield sample, Position(epoch, taken)
            if taken == 0:
                raise RecipeError(f"no samples in {', '.join(self._shards[:3])}")
            epoch, skipped = epoch + 1, 0

    def _read_epoch(self, epoch: int) -> Iterator[ShardSample]:
        order = np.random.default_rng((*self._seeds, epoch, _SHARD_ORDER_SALT))
        draw = np.random.default_rng((*self._seeds, epoch, _BUFFER_SALT))
        shards = [self._shards[at] for at in order.permutation(len(self._shards))]
        buffer: list[ShardSample] = []
        for sample in read_shards(shards):
            if len(buffer) < self._buffer:
                buffer.append(sample)
                continue
            at = int(draw.integers(len(buffer)))
            yield buffer[at]
            buffer[at] = sample
        for at in draw.permutation(len(buffer)):
            yield buffer[at]
