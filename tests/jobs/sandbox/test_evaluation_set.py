import io
import itertools
import json
from pathlib import Path

import pytest
import webdataset
from PIL import Image as Pictures

from jobs.evaluation.data import read_classes
from jobs.sandbox.captions import named_pairs
from jobs.sandbox.evaluation_set import CLASS_NAMES, write_evaluation_set
from jobs.sandbox.scene import HELD_OUT_SEEDS
from jobs.sandbox.vocabulary import CLASSES


def _samples(paths: tuple[Path, ...]) -> list[dict[str, bytes]]:
    return list(webdataset.WebDataset([str(path) for path in paths], shardshuffle=False))


def test_labels_are_right_when_scenes_have_one_object(tmp_path: Path) -> None:
    made = write_evaluation_set(tmp_path, zero_shot=60, retrieval=1, image_px=64)
    samples = _samples(made.zero_shot)
    assert len(samples) == 60
    for sample in samples:
        label, facts = int(sample["cls"]), json.loads(sample["json"])
        assert facts["seed"] in HELD_OUT_SEEDS
        assert [tuple(pair) for pair in facts["pairs"]] == [CLASSES[label]]
        assert sample["txt"].decode() == CLASS_NAMES[label]
        with Pictures.open(io.BytesIO(sample["jpg"])) as picture:
            assert min(picture.size) == 64


def test_captions_fit_one_picture_only_when_retrieved(tmp_path: Path) -> None:
    made = write_evaluation_set(tmp_path, zero_shot=1, retrieval=150, image_px=32)
    samples = _samples(made.retrieval)
    shown = [{tuple(pair) for pair in json.loads(sample["json"])["pairs"]} for sample in samples]
    named = [set(named_pairs(sample["txt"].decode())) for sample in samples]
    assert len(samples) == 150
    assert named == shown
    assert not any(one <= other or other <= one for one, other in itertools.combinations(shown, 2))


def test_sets_share_no_scene_when_seeds_differ(tmp_path: Path) -> None:
    keys = []
    for seed in (0, 1):
        made = write_evaluation_set(tmp_path / str(seed), zero_shot=5, retrieval=5, image_px=32, seed=seed)
        keys.append({sample["__key__"] for sample in _samples(made.zero_shot + made.retrieval)})
    assert len(keys[0]) == len(keys[1]) == 10
    assert keys[0].isdisjoint(keys[1])


def test_error_is_raised_when_seed_is_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 to 99"):
        write_evaluation_set(tmp_path, seed=100)


def test_the_evaluation_finds_its_classes_when_it_reads_the_folder(tmp_path):
    write_evaluation_set(tmp_path, zero_shot=1, retrieval=1)
    chosen = read_classes(tmp_path)
    assert chosen is not None
    assert chosen.classes == CLASS_NAMES
    assert all("{}" in template for template in chosen.templates)
