import numpy as np
import pytest

from jobs.evaluation.retrieval import retrieval_recall


def test_recalls_are_as_counted_when_two_texts_are_changed_over():
    images = np.eye(12, dtype=np.float32)
    texts = images[[1, 0, *range(2, 12)]]
    found = retrieval_recall(images, texts)
    # Ten of twelve come first. Of the other two all wrong scores tie with the right one at 0 but one.
    assert found["i2t_r1"] == pytest.approx(10 / 12)
    assert found["t2i_r1"] == pytest.approx(10 / 12)
    assert found["i2t_r10"] == pytest.approx(10 / 12)


def test_ranks_are_found_when_scores_differ():
    # Text 1 is nearest to both images; image 0's own text comes second.
    images = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    texts = np.array([[0.6, 0.0], [0.7, 0.9]], np.float32)
    found = retrieval_recall(images, texts)
    assert (found["i2t_r1"], found["i2t_r5"], found["t2i_r1"]) == (0.5, 1.0, 1.0)


def test_candidates_are_few_when_a_pool_is_given():
    # Pairs 0 and 2 are alike: told apart only if they are in different pools; pair 4 is left over.
    images = np.eye(3, dtype=np.float32)[[0, 1, 0, 1, 2]]
    assert retrieval_recall(images, images, pool=2)["i2t_r1"] == 1.0
    assert retrieval_recall(images, images, pool=None)["i2t_r1"] == pytest.approx(1 / 5)
