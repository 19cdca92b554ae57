import os
import resource
import tempfile

import numpy as np
import pytest

from curation.similarity.spherical_kmeans import fit_centroids
from curation.similarity.vector_sample import first_vectors
from curation.similarity.whole_vectors import unit_vectors, whole_vectors


@pytest.mark.parametrize("held_bytes", [2**30, 6000, 0])
def test_the_smallest_places_are_drawn_when_far_more_vectors_pass_by(held_bytes):
    places = np.random.default_rng(0).permutation(40_000).astype(np.int32)
    vectors = np.stack([places % 1000, places // 1000], axis=1).astype(np.int16)
    batches = [(places[start : start + 777], vectors[start : start + 777]) for start in range(0, 40_000, 777)]
    sample = first_vectors(iter(batches), 1500, held_bytes)
    assert (sample[:, 1].astype(int) * 1000 + sample[:, 0]).tolist() == list(range(1500))


def test_there_is_no_sample_when_nothing_passes_by():
    assert first_vectors(iter([]), 5) is None


def batches_of(vectors):
    order = np.random.default_rng(1).permutation(len(vectors)).astype(np.int32)
    return [(order[start : start + 999], vectors[order[start : start + 999]]) for start in range(0, len(vectors), 999)]


def test_a_sample_on_disk_is_fitted_to_the_same_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    vectors = whole_vectors(unit_vectors(np.random.default_rng(0).normal(size=(50_000, 8)))[0])
    held = first_vectors(batches_of(vectors), 40_000)
    lying = first_vectors(batches_of(vectors), 40_000, held_bytes=10_000)
    assert (isinstance(held, np.memmap), isinstance(lying, np.memmap)) == (False, True)
    assert np.array_equal(held, vectors[:40_000])
    assert np.array_equal(lying, vectors[:40_000])
    assert np.array_equal(fit_centroids(held, 7, 5).vectors, fit_centroids(lying, 7, 5).vectors)
    assert os.listdir(tmp_path) == []


@pytest.fixture
def no_large_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("no_large_files")
def test_it_is_an_error_at_once_when_the_sample_has_no_room_on_disk():
    assert first_vectors(batches_of(np.ones((10, 8), np.int16)), 10, held_bytes=10_000).shape == (10, 8)
    with pytest.raises(OSError, match="File too large"):
        first_vectors(batches_of(np.ones((10, 8), np.int16)), 100_000, held_bytes=10_000)
