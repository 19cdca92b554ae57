import numpy as np

from curation.similarity.vector_sample import first_vectors


def test_the_smallest_places_are_drawn_when_far_more_vectors_pass_by():
    places = np.random.default_rng(0).permutation(40_000).astype(np.int32)
    vectors = np.stack([places % 1000, places // 1000], axis=1).astype(np.int16)
    batches = [(places[start : start + 777], vectors[start : start + 777]) for start in range(0, 40_000, 777)]
    sample = first_vectors(iter(batches), 1500)
    assert (sample[:, 1].astype(int) * 1000 + sample[:, 0]).tolist() == list(range(1500))


def test_there_is_no_sample_when_nothing_passes_by():
    assert first_vectors(iter([]), 5) is None
