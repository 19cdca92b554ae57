"""Batches for training, made ahead in a thread, each with the positions it leaves the streams at."""

import logging
import queue
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from curation.errors import RecipeError
from jobs.training.config import TrainConfig
from jobs.training.pixels import IMAGE_EXTENSIONS, Pixels, augment, decode_square
from jobs.training.streams import Position, ShardSample, ShardStream
from jobs.training.substitution import substitute_words
from jobs.training.texts import choose_caption, choose_hard_negatives

_LOG = logging.getLogger(__name__)
_AHEAD = 4
_CACHE_MARGIN = 1.125
_EPOCHS_WITHOUT_IMAGES = 2

Tokenize = Callable[[list[str]], Any]
"""Turns n texts into an (n, context length) int64 tensor."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step sees.

    Attributes:
        images: (n, size, size, 3) uint8 tensor.
        tokens: (n, context length) int64 tensor.
        negatives: (m, context length) int64 tensor, or None.
        positions: of this process's streams after the batch.
    """

    images: Any
    tokens: Any
    negatives: Any | None
    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class _Chosen:
    image: Pixels
    caption: str
    negatives: list[str]


class BatchLoader:
    """Reads the streams that belong to one process and makes its share of every batch."""

    def __init__(
        self,
        shards: Sequence[str],
        config: TrainConfig,
        *,
        image_size: int,
        tokenize: Tokenize,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Describes the batches; reads nothing.

        Raises:
            RecipeError: if streams cannot be shared out, or (from `batches`) no image can be read.
        """
        streams = config.data.streams
        if streams > len(shards):
            raise RecipeError(f"data.streams is {streams} but there are only {len(shards)} shards: lower it")
        if streams % world_size:
            raise RecipeError(f"data.streams is {streams}, which {world_size} processes cannot share equally")
        self._config = config
        self._size = image_size
        self._tokenize = tokenize
        self._per_stream = config.batch_size // streams
        self._streams = [
            ShardStream(
                shards[number::streams],
                seed=config.seed,
                number=number,
                buffer=config.data.shuffle_buffer,
            )
            for number in range(rank, streams, world_size)
        ]
        self._cache: dict[tuple[str, str], Pixels] = {}
        side = round(image_size * _CACHE_MARGIN)
        self._cached_at_most = config.data.cache_mb * 2**20 // (side * side * 3)

    def start_positions(self) -> tuple[Position, ...]:
        """Returns the positions of this process's streams before the first batch."""
        return tuple(Position() for _ in self._streams)

    def batches(self, positions: Sequence[Position]) -> Iterator[Batch]:
        """Yields batches without end, the next few made ahead; close the iterator when done."""
        ready: queue.Queue[Batch | BaseException] = queue.Queue(_AHEAD)
        stop = threading.Event()

        def work() -> None:
            try:
                for batch in self._make_batches(positions):
                    while not stop.is_set():
                        try:
                            ready.put(batch, timeout=0.2)
                            break
                        except queue.Full:
                            continue
                    if stop.is_set():
                        return
            except Exception as error:  # noqa: BLE001 - raised again where batches are taken
                ready.put(error)

        worker = threading.Thread(target=work, name="batches", daemon=True)
        worker.start()
        try:
            while True:
                item = ready.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()
            worker.join()

    def _make_batches(self, positions: Sequence[Position]) -> Iterator[Batch]:
        import torch

        cv2.setNumThreads(1)
        readers = [stream.read_from(position) for stream, position in zip(self._streams, positions, strict=True)]
        with ThreadPoolExecutor(self._config.data.threads) as pool:
            while True:
                chosen: list[_Chosen] = []
                negatives: list[str] = []
                after = []
                for reader in readers:
                    share, position = self._take(reader, pool)
                    chosen.extend(share)
                    negatives.extend(self._negatives_of(share, position))
                    after.append(position)
                yield Batch(
                    images=torch.from_numpy(np.stack([item.image for item in chosen])),
                    tokens=self._tokenize([item.caption for item in chosen]),
                    negatives=self._tokenize(negatives) if negatives else None,
                    positions=tuple(after),
                )

    def _take(
        self, reader: Iterator[tuple[ShardSample, Position]], pool: ThreadPoolExecutor
    ) -> tuple[list[_Chosen], Position]:
        """Takes a stream's share of a batch; broken samples are passed over."""
        share: list[_Chosen] = []
        position = Position()
        epochs: set[int] = set()
        while len(share) < self._per_stream:
            samples = []
            for _ in range(self._per_stream - len(share)):
                sample, position = next(reader)
                samples.append((sample, position.epoch))
            epochs.add(position.epoch)
            share.extend(item for item in pool.map(self._choose, samples) if item is not None)
            if not share and len(epochs) > _EPOCHS_WITHOUT_IMAGES:
                raise RecipeError("no sample of the shards has a readable image")
        return share, position

    def _negatives_of(self, share: list[_Chosen], position: Position) -> list[str]:
        """Returns the hard negatives of a stream's share; they depend on nothing else."""
        data = self._config.data
        if data.hard_negatives != "substituted":
            return [text for item in share for text in item.negatives]
        draw = np.random.default_rng((self._config.seed, position.epoch, position.taken))
        made = substitute_words([item.caption for item in share], data.negatives_each, draw)
        return [text for variants in made for text in variants]

    def _choose(self, sample_and_epoch: tuple[ShardSample, int]) -> _Chosen | None:
        sample, epoch = sample_and_epoch
        image = self._decoded(sample)
        if image is None:
            _LOG.warning("no readable image in sample %s of %s", sample.key, sample.shard)
            return None
        # Seeded by the sample and not by its place, so that the order of samples plays no role.
        draw = np.random.default_rng((self._config.seed, epoch, zlib.crc32(sample.key.encode())))
        data = self._config.data
        caption = choose_caption(sample, data, draw)
        negatives = choose_hard_negatives(sample, data.negatives_each, draw) if data.hard_negatives == "given" else []
        changed = augment(image, self._size, self._config.augment, draw)
        return _Chosen(changed, caption, negatives)

    def _decoded(self, sample: ShardSample) -> Pixels | None:
        name = (sample.shard, sample.key)
        if name in self._cache:
            return self._cache[name]
        body = next((sample.files[e] for e in IMAGE_EXTENSIONS if e in sample.files), None)
        if body is None:
            return None
        image = decode_square(body, round(self._size * _CACHE_MARGIN))
        if image is not None and len(self._cache) < self._cached_at_most:
            self._cache[name] = image
        return image
