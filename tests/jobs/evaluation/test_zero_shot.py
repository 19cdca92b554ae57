import numpy as np
import pytest

from curation.errors import RecipeError
from curation.models.clip import load_clip
from jobs.evaluation.data import ClassList
from jobs.evaluation.encoding import embed_texts
from jobs.evaluation.zero_shot import class_embeddings, rank_of_right, zero_shot_accuracy


def test_ranks_count_what_is_no_worse_when_scores_tie():
    scores = np.array([[0.9, 0.1, 0.5], [0.9, 0.9, 0.5], [0.1, 0.2, 0.3]], np.float32)
    # First alone, tied with one other, last of three.
    assert rank_of_right(scores, np.array([0, 1, 0])).tolist() == [0, 1, 2]


def test_accuracy_is_as_counted_when_classes_are_axes():
    classes = np.eye(7, dtype=np.float32)
    images = np.array([[7, 6, 5, 4, 3, 2, 1]] * 4, np.float32)
    # The right classes are first, second, fifth and sixth.
    assert zero_shot_accuracy(images, classes, [0, 1, 4, 5]) == {"top1": 0.25, "top5": 0.75}


@pytest.mark.parametrize("label", [-1, 7])
def test_recipe_error_when_a_label_has_no_class(label):
    with pytest.raises(RecipeError, match="there are 7 classes"):
        zero_shot_accuracy(np.eye(7, dtype=np.float32)[:1], np.eye(7, dtype=np.float32), [label])


def test_classes_are_means_over_templates_when_embedded():
    clip = load_clip("embedded:clip")
    chosen = ClassList(classes=("red circle", "blue star"), templates=("a {}", "a photo of a {}"))
    found = class_embeddings(clip, chosen, 3)
    texts = embed_texts(clip, ["a blue star", "a photo of a blue star"], 2)
    expected = texts.sum(axis=0) / np.linalg.norm(texts.sum(axis=0))
    assert np.allclose(found[1], expected, atol=1e-5)
    assert np.allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
