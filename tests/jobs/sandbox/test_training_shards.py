import io
import json
from pathlib import Path

import pytest
import webdataset
from PIL import Image as Pictures

from jobs.sandbox.captions import canonical_caption, named_pairs
from jobs.sandbox.scene import TRAINING_SEEDS, make_scene
from jobs.sandbox.training_shards import write_training_shards


def test_shards_hold_scenes_with_their_texts_when_read_by_webdataset(tmp_path: Path) -> None:
    paths = write_training_shards(tmp_path, 25, seed_offset=10, image_px=48, shard_size=10)
    assert [path.name for path in paths] == ["000000.tar", "000001.tar", "000002.tar"]
    samples = list(webdataset.WebDataset([str(path) for path in paths], shardshuffle=False))
    assert len(samples) == 25
    for number, sample in enumerate(samples):
        facts = json.loads(sample["json"])
        scene = make_scene(facts["seed"])
        assert scene.seed == TRAINING_SEEDS[10 + number]
        assert facts["canonical"] == canonical_caption(scene)
        assert scene.pairs.issuperset(named_pairs(sample["txt"].decode()))
        with Pictures.open(io.BytesIO(sample["jpg"])) as picture:
            assert min(picture.size) == 48


def test_shards_are_the_same_when_written_by_one_process_or_two(tmp_path: Path) -> None:
    (alone,) = write_training_shards(tmp_path / "a", 10, image_px=48)
    first, second = write_training_shards(tmp_path / "b", 20, image_px=48, shard_size=10)
    assert alone.read_bytes() == first.read_bytes() != second.read_bytes()


def test_error_is_raised_when_seeds_would_leave_their_range(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not all in range"):
        write_training_shards(tmp_path, 2, seed_offset=len(TRAINING_SEEDS) - 1)
