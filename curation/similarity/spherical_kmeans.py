"""Spherical k-means, with the same clusters on every machine.

faiss searches the nearest centroid; vectors and centroids are in whole numbers (`whole_vectors`), so that what it finds
is exact. Its own `Kmeans` is not used: the sums behind its centroids, and with them the clusters, differ from processor
to processor and with the number of threads.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.similarity.whole_vectors import Whole, inverse_norms, unit_vectors, whole_vectors

_BLOCK = 16_384
_MEANS = 1024
"""Directions that are worked out at a time."""

Clusters = npt.NDArray[np.int32]
Cosines = npt.NDArray[np.float32]


class Centroids:
    """Finds the nearest of some centroids.

    Attributes:
        vectors: (k, d) int16, in whole numbers.
    """

    def __init__(self, vectors: Whole) -> None:
        import faiss

        self.vectors = vectors
        exact = vectors.astype(np.float32)
        self._inverse_norms = inverse_norms(exact)
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(exact)

    def assign(self, vectors: Whole) -> tuple[Clusters, Cosines]:
        """The centroid with the largest product, of equals the first: (n,) int32; and its cosine: (n,) float32."""
        clusters = np.empty(len(vectors), np.int32)
        cosines = np.empty(len(vectors), np.float32)
        for start in range(0, len(vectors), _BLOCK):
            block = vectors[start : start + _BLOCK].astype(np.float32)
            products, places = self._index.search(block, 1)
            clusters[start : start + _BLOCK] = places[:, 0]
            lengths = inverse_norms(block) * self._inverse_norms[places[:, 0]]
            cosines[start : start + _BLOCK] = products[:, 0] * lengths
        return clusters, cosines

    def cosines(self, units: npt.NDArray[np.float64], clusters: Clusters) -> Cosines:
        """The cosine of each vector to the centroid of its cluster, as exact as float32 holds it.

        Near-copies lie at nearly the same distance from their centroid: rounded vectors would often swap them.

        Args:
            units: (n, d) float64, in steps of 2^-24.
            clusters: (n,) int32.
        """
        products = np.einsum("nd,nd->n", units, self.vectors[clusters], dtype=np.float64)
        return np.asarray(products * self._inverse_norms[clusters], np.float32)


def fit_centroids(sample: Whole, clusters: int, iterations: int) -> Centroids:
    """Fits centroids to a sample.

    The first `clusters` different vectors of the sample are where it begins, so a sample in random order is a random
    beginning. A cluster that loses its last member gets the vector that is farthest from its centroid. Ends early when
    no vector changes its cluster.

    Args:
        sample: (n, d) int16, n > 0. It may lie on disk: it is read some rows at a time.
        clusters: Centroids wanted; there are no more than different vectors.
        iterations: At most.
    """
    centroids = Centroids(_first_different(sample, clusters))
    before: Clusters | None = None
    for _ in range(iterations):
        assigned, cosines = centroids.assign(sample)
        if before is not None and np.array_equal(before, assigned):
            break
        centroids = Centroids(_means(sample, assigned, cosines, len(centroids.vectors)))
        before = assigned
    return centroids


def _first_different(sample: Whole, count: int) -> Whole:
    """The first `count` vectors of which none is there twice, or all there are."""
    seen: dict[bytes, int] = {}
    for place, vector in enumerate(sample):
        seen.setdefault(vector.tobytes(), place)
        if len(seen) == count:
            break
    return sample[list(seen.values())]


def _means(sample: Whole, assigned: Clusters, cosines: Cosines, count: int) -> Whole:
    """The directions of the sums of each cluster's members: (k, d) int16. Reads the sample from front to back."""
    sums = np.zeros((count, sample.shape[1]), np.int64)
    for start in range(0, len(sample), _BLOCK):
        order = np.argsort(assigned[start : start + _BLOCK], kind="stable")
        members = assigned[start : start + _BLOCK][order]
        begins = np.flatnonzero(np.diff(members, prepend=-1))
        vectors = sample[start : start + _BLOCK][order]
        sums[members[begins]] += np.add.reduceat(vectors, begins, axis=0, dtype=np.int64)
    means, usable = np.empty(sums.shape, np.int16), np.empty(count, bool)
    for start in range(0, count, _MEANS):
        units, usable[start : start + _MEANS] = unit_vectors(sums[start : start + _MEANS])
        means[start : start + _MEANS] = whole_vectors(units)
    lost = np.flatnonzero(~usable)
    if len(lost):
        farthest = np.argsort(cosines, kind="stable")[: len(lost)]
        means[lost[: len(farthest)]] = sample[farthest]
    return means
