import contextlib
import json
from itertools import islice

import numpy as np
import pytest
import torch

from curation.errors import RecipeError
from jobs.training.config import DataConfig, TrainConfig
from jobs.training.data import BatchLoader
from jobs.training.streams import list_shards

CONFIG = TrainConfig(batch_size=8, data=DataConfig(streams=2, shuffle_buffer=10, hard_negatives="given"))


def _tokenize(texts):
    return torch.tensor([[len(text), ord(text[0]), int(text.split()[-1])] for text in texts])


def _loader(shards, config=CONFIG, **place):
    return BatchLoader(list_shards(shards), config, image_size=16, tokenize=_tokenize, **place)


def _batches(loader, count, positions=None):
    with contextlib.closing(loader.batches(positions or loader.start_positions())) as batches:
        return list(islice(batches, count))


def test_shapes_are_as_promised_when_a_batch_is_made(shards):
    (batch,) = _batches(_loader(shards), 1)
    assert (batch.images.shape, batch.images.dtype) == ((8, 16, 16, 3), torch.uint8)
    assert batch.tokens.shape == (8, 3)
    assert batch.negatives.shape == (8, 3)
    assert [position.taken for position in batch.positions] == [4, 4]


def test_texts_belong_to_their_images_when_batched(shards):
    (batch,) = _batches(_loader(shards), 1)
    # The captions and negatives of the test shards end in the sample's number.
    assert batch.tokens[:, 2].tolist() == batch.negatives[:, 2].tolist()


def test_batches_are_the_same_when_two_processes_share_them(shards):
    alone = _batches(_loader(shards), 9)
    shares = [_batches(_loader(shards, rank=rank, world_size=2), 9) for rank in (0, 1)]
    for whole, *parts in zip(alone, *shares, strict=True):
        assert torch.equal(whole.images, torch.cat([part.images for part in parts]))
        assert torch.equal(whole.tokens, torch.cat([part.tokens for part in parts]))


def test_the_rest_is_the_same_when_batches_are_taken_up(shards):
    straight = _batches(_loader(shards), 9)
    rest = _batches(_loader(shards), 5, straight[3].positions)
    for expected, found in zip(straight[4:], rest, strict=True):
        assert torch.equal(expected.images, found.images)
        assert torch.equal(expected.tokens, found.tokens)


def test_samples_are_passed_over_when_their_image_is_broken(tmp_path, write_tar):
    import cv2

    good = cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes()
    samples = [(f"{n}", {"png": good if n % 2 else b"broken", "txt": f"x {n}".encode()}) for n in range(8)]
    write_tar(tmp_path / "a.tar", samples)
    config = TrainConfig(batch_size=4, data=DataConfig())
    (batch,) = _batches(_loader(tmp_path, config), 1)
    assert sorted(batch.tokens[:, 2].tolist()) == [1, 3, 5, 7]


def test_recipe_error_when_no_image_can_be_read(tmp_path, write_tar):
    write_tar(tmp_path / "a.tar", [("1", {"jpg": b"broken", "txt": b"x 1", "json": json.dumps({}).encode()})])
    with pytest.raises(RecipeError, match="readable image"):
        _batches(_loader(tmp_path, TrainConfig(batch_size=2)), 1)


@pytest.mark.parametrize(("streams", "world_size", "message"), [(8, 1, "only 4 shards"), (2, 4, "share equally")])
def test_recipe_error_when_streams_cannot_be_shared_out(shards, streams, world_size, message):
    config = TrainConfig(batch_size=8, data=DataConfig(streams=streams))
    with pytest.raises(RecipeError, match=message):
        _loader(shards, config, world_size=world_size)
