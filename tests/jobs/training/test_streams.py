from itertools import islice

import pytest

from curation.errors import RecipeError
from jobs.training.streams import Position, ShardStream, list_shards, read_shards

START = Position()


def _stream(shards, **changes):
    return ShardStream(list_shards(shards), **{"seed": 1, "number": 0, "buffer": 20, **changes})


def _keys(stream, count, position=START):
    return [sample.key for sample, _ in islice(stream.read_from(position), count)]


def test_every_sample_comes_once_when_an_epoch_is_read(shards):
    keys = _keys(_stream(shards), 60)
    assert sorted(keys) == [f"{number:05d}" for number in range(60)]
    assert keys != sorted(keys)


def test_order_differs_when_the_epoch_or_the_seed_does(shards):
    keys = _keys(_stream(shards), 120)
    assert keys[:60] != keys[60:]
    assert sorted(keys[:60]) == sorted(keys[60:])
    assert _keys(_stream(shards, seed=2), 60) != keys[:60]


@pytest.mark.parametrize("taken", [1, 20, 59, 60, 61, 100])
def test_the_rest_is_the_same_when_a_stream_is_taken_up(shards, taken):
    stream = _stream(shards)
    straight = list(islice(stream.read_from(Position()), 150))
    position = straight[taken - 1][1]
    assert _keys(stream, 150 - taken, position) == [sample.key for sample, _ in straight[taken:]]


def test_files_are_read_by_extension_when_a_tar_is_read(shards):
    sample = next(read_shards([str(shards / "000001.tar")]))
    assert sample.key == "00015"
    assert set(sample.files) == {"jpg", "txt", "json"}
    assert sample.files["txt"] == b"white disc 15"


def test_recipe_error_when_a_folder_has_no_tar(tmp_path):
    with pytest.raises(RecipeError, match="no shards"):
        list_shards(tmp_path)


def test_recipe_error_when_shards_are_empty(tmp_path, write_tar):
    write_tar(tmp_path / "a.tar", [])
    with pytest.raises(RecipeError, match="no samples"):
        next(_stream(tmp_path).read_from(Position()))
