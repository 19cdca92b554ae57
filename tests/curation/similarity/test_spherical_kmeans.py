import numpy as np

from curation.similarity.spherical_kmeans import Centroids, fit_centroids
from curation.similarity.whole_vectors import unit_vectors, whole_vectors


def whole(*vectors):
    return whole_vectors(unit_vectors(np.array(vectors, np.float64))[0])


def test_the_first_centroid_is_chosen_when_two_are_as_near():
    two = whole([1, 0], [0, 1], [1, 0], [0, 1])
    for count in (1, 50, 3000):
        clusters, cosines = Centroids(two).assign(np.repeat(whole([1, 1]), count, axis=0))
        assert set(clusters.tolist()) == {0}
        assert np.allclose(cosines, 0.5**0.5, atol=1e-3)


def test_centroids_are_the_directions_of_their_members_when_fitted():
    fitted = fit_centroids(whole([1, 0], [0, 1], [0.6, 0.8], [0.8, -0.6]), 2, 10)
    # {(1, 0), (0.8, -0.6)} and {(0, 1), (0.6, 0.8)}: their sums are (1.8, -0.6) and (0.6, 1.8), of length 1.8974.
    assert fitted.vectors.tolist() == [[3795, -1265], [1265, 3795]]


def test_equal_vectors_give_one_centroid_when_the_sample_has_no_others():
    assert fit_centroids(whole([1, 0], [1, 0], [2, 0]), 3, 5).vectors.tolist() == [[4000, 0]]


def test_a_lost_cluster_takes_the_farthest_vector_when_opposites_cancel():
    fitted = fit_centroids(whole([1, 0], [-1, 0], [0, 1]), 1, 1)
    assert fitted.vectors.tolist() == [[0, 4000]]
