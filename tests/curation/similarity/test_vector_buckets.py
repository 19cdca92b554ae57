import numpy as np

from curation.similarity import vector_buckets
from curation.similarity.vector_buckets import VectorBuckets


def test_clusters_come_back_whole_and_ordered_when_vectors_were_put_away(monkeypatch):
    monkeypatch.setattr(vector_buckets, "_BUCKET_BYTES", 64)
    rng = np.random.default_rng(0)
    clusters = rng.integers(7, size=100).astype(np.int32)
    vectors = rng.integers(-4000, 4000, (100, 3)).astype(np.int16)
    worth = rng.permutation(100).astype(np.int32)
    seen = []
    with VectorBuckets(100, 3) as buckets:
        for items in np.array_split(np.arange(100, dtype=np.int32), 9):
            buckets.add(clusters[items], items, vectors[items])
        for items, stored, places in buckets.clusters(worth):
            assert len(set(clusters[items])) == 1
            assert worth[items].tolist() == sorted(worth[clusters == clusters[items[0]]].tolist())
            assert np.array_equal(stored[places], vectors[items])
            seen += items.tolist()
    assert sorted(seen) == list(range(100))
