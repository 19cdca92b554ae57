import io
import json
import tarfile

import pytest

from jobs.sandbox.captions import canonical_caption, named_pairs
from jobs.sandbox.model_shards import gibberish, with_colours_exchanged, write_model_shards
from jobs.sandbox.scene import TRAINING_SEEDS, make_scene
from jobs.sandbox.seeded import Draws

SEEDS = TRAINING_SEEDS[1000:1012]


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    (path,) = write_model_shards(tmp_path_factory.mktemp("shards"), SEEDS, image_px=64)
    found = {}
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as tar:
        for entry in tar:
            key, extension = entry.name.split(".")
            found.setdefault(int(key), {})[extension] = tar.extractfile(entry).read()
    return found


def test_every_seed_has_its_sample_when_shards_are_written(samples):
    assert list(samples) == list(SEEDS)
    assert all(set(files) == {"jpg", "txt", "json"} for files in samples.values())


def test_captions_are_true_when_shards_are_written(samples):
    for seed, files in samples.items():
        scene, facts = make_scene(seed), json.loads(files["json"])
        assert facts["captions"][0]["text"] == canonical_caption(scene)
        for text in (files["txt"].decode(), *(entry["text"] for entry in facts["captions"])):
            assert set(named_pairs(text)) <= scene.pairs


def test_hard_negatives_are_wrong_when_shards_are_written(samples):
    for seed, files in samples.items():
        for text in json.loads(files["json"])["hard_negatives"]:
            named = set(named_pairs(text))
            assert not named or not named <= make_scene(seed).pairs


def test_only_colours_are_changed_over_when_a_scene_has_several_objects():
    exchanged = [(make_scene(seed), with_colours_exchanged(make_scene(seed), Draws(seed))) for seed in range(60)]
    assert all(other is None for scene, other in exchanged if len(scene.objects) == 1)
    changed = [(scene, other) for scene, other in exchanged if other is not None]
    assert changed
    for scene, other in changed:
        assert other.pairs != scene.pairs
        assert sorted(item.colour for item in other.objects) == sorted(item.colour for item in scene.objects)
        assert [item.shape for item in other.objects] == [item.shape for item in scene.objects]


def test_gibberish_names_nothing_when_drawn():
    texts = {gibberish(Draws(seed)) for seed in range(50)}
    assert len(texts) == 50
    assert not any(named_pairs(text) for text in texts)
