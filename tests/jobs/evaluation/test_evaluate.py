import json

import pytest
import simplejpeg

from curation.errors import RecipeError
from jobs.evaluation.data import CLASSES_FILE, read_samples
from jobs.evaluation.evaluate import evaluate
from jobs.sandbox.captions import canonical_caption
from jobs.sandbox.draw import draw_scene
from jobs.sandbox.sample_tar import write_sample_tar
from jobs.sandbox.scene import HELD_OUT_SEEDS, make_scene
from jobs.sandbox.vocabulary import CLASSES, class_name

COUNT = 40


def _samples(labelled):
    for seed in HELD_OUT_SEEDS[5_000_000 : 5_000_000 + COUNT]:
        scene = make_scene(seed, objects=1 if labelled else None)
        image = simplejpeg.encode_jpeg(draw_scene(scene, 128, 128), quality=90)
        files = {"jpg": image, "txt": canonical_caption(scene).encode()}
        if labelled:
            files["cls"] = str(CLASSES.index(scene.objects[0].pair)).encode()
        yield str(seed), files


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_sample_tar(folder / "a.tar", _samples(labelled=True))
    write_sample_tar(folder / "b.tar", _samples(labelled=False))
    classes = {"classes": [class_name(pair) for pair in CLASSES], "templates": ["a {}"]}
    (folder / CLASSES_FILE).write_text(json.dumps(classes))
    return folder


def test_all_figures_are_there_when_a_set_has_both_kinds_of_samples(data):
    figures = evaluate("embedded:clip", data, pool=20)
    assert figures["samples"] == 2 * COUNT
    assert (figures["zero_shot"]["samples"], figures["zero_shot"]["classes"]) == (COUNT, len(CLASSES))
    assert (figures["retrieval"]["samples"], figures["retrieval"]["pool"]) == (COUNT, 20)
    # Far above chance, which is 1 in 132 and 1 in 20.
    assert figures["zero_shot"]["top5"] > 0.3
    assert figures["retrieval"]["i2t_r1"] > 0.6
    assert figures["retrieval"]["mismatch_auc"] > 0.95


def test_only_retrieval_is_measured_when_samples_have_no_class(data):
    assert set(evaluate("embedded:clip", data / "b.tar")) == {"model", "samples", "retrieval"}


def test_recipe_error_when_classes_have_no_names(data, tmp_path):
    (tmp_path / "a.tar").write_bytes((data / "a.tar").read_bytes())
    with pytest.raises(RecipeError, match=r"no classes\.json"):
        evaluate("embedded:clip", tmp_path)


def test_recipe_error_when_there_are_no_shards(tmp_path):
    with pytest.raises(RecipeError, match="no shards to evaluate on"):
        evaluate("embedded:clip", tmp_path)


def test_samples_are_left_out_when_their_image_is_broken(tmp_path):
    (good, files), *_ = _samples(labelled=False)
    write_sample_tar(tmp_path / "a.tar", [("0", {"jpg": b"broken", "txt": b"x"}), (good, files)])
    assert [sample.key for sample in read_samples(tmp_path)] == [good]


def test_reading_stops_when_the_limit_is_reached(data):
    assert len(list(read_samples(data, limit=7))) == 7
