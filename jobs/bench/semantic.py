"""`deduplicate_semantic` against SemDeDup's plain algorithm: `python -m jobs.bench.semantic`."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curation.row_keys import row_keys
from curation.similarity.spherical_kmeans import Centroids
from curation.similarity.whole_vectors import SCALE
from stages.select.deduplicate_semantic import DeduplicateSemantic, DeduplicateSemanticConfig

_PART_ROWS = 2000
_TOPICS = 2000
_COPIES_SHARE = 0.4

Vectors = npt.NDArray[np.float32]


def write_embeddings(folder: Path, rows: int, dimensions: int, seed: int) -> list[Path]:
    """Writes generated embeddings as the pool has them: topics, within them pictures, and copies of some at any "
    "distance.

    A copy lies at a cosine of 0.9 to 1 from what it is of, so that a bound of any usual size goes through the middle.
    """
    rng = np.random.default_rng(seed)
    topics = _unit(rng.standard_normal((_TOPICS, dimensions), np.float32))
    originals: Vectors = np.zeros((0, dimensions), np.float32)
    paths = []
    for start in range(0, rows, _PART_ROWS):
        count = min(_PART_ROWS, rows - start)
        spread = _unit(rng.standard_normal((count, dimensions), np.float32))
        vectors = _unit(topics[rng.integers(_TOPICS, size=count)] + 0.7 * spread)
        if len(originals):
            copies = np.flatnonzero(rng.random(count) < _COPIES_SHARE)
            angle = np.arccos(1 - 0.1 * rng.random((len(copies), 1), np.float32) ** 2)
            of = originals[rng.integers(len(originals), size=len(copies))]
            vectors[copies] = _unit(of + np.tan(angle) * _across(of, spread[copies]))
        originals = np.concatenate([originals, vectors[: _PART_ROWS // 10]])[-100_000:]
        paths.append(folder / f"{start:010d}.parquet")
        _write(paths[-1], start, vectors)
    return paths


def _across(vectors: Vectors, directions: Vectors) -> Vectors:
    """The directions, turned so that each is at a right angle to its vector: (n, d) float32, unit length."""
    return _unit(directions - np.einsum("nd,nd->n", vectors, directions)[:, None] * vectors)


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _write(path: Path, start: int, vectors: Vectors) -> None:
    count, dimensions = vectors.shape
    offsets = np.arange(0, (count + 1) * dimensions, dimensions, dtype=np.int32)
    numbers = range(start, start + count)
    table = pa.table(
        {
            "row": pa.array(numbers, pa.int64()),
            "key": row_keys("bench", [str(number) for number in numbers], [None] * count),
            "image_embedding": pa.ListArray.from_arrays(offsets, pa.array(vectors.astype(np.float16).ravel())),
        }
    )
    pq.write_table(table, path, row_group_size=128, compression="zstd")


def plain_semdedup(vectors: Vectors, clusters: npt.NDArray[np.int32], centroids: Vectors, epsilon: float) -> Any:
    """The rows that SemDeDup drops: (n,) bool.

    Source: Abbas et al. 2023, pseudo-code of SemDeDup: in each cluster all cosines at once, of rows sorted from
        the farthest from the centroid to the nearest; a row goes if its largest cosine to an earlier one is above
        1 - epsilon.
    """
    dropped = np.zeros(len(vectors), bool)
    for cluster in np.unique(clusters):
        members = np.flatnonzero(clusters == cluster)
        members = members[np.argsort(vectors[members] @ centroids[cluster], kind="stable")]
        cosines = np.triu(vectors[members] @ vectors[members].T, 1)
        dropped[members] = cosines.max(axis=0) > 1 - epsilon
    return dropped


def _compared(paths: Sequence[Path], verdicts: pl.DataFrame, exchange: DeduplicateSemantic) -> dict[str, Any]:
    """How far the plain algorithm, in floating point and on the same clusters, drops the same rows."""
    frame = pl.scan_parquet(paths).select("row", "image_embedding").collect()
    values = np.asarray(frame["image_embedding"].explode(empty_as_null=False).to_arrow(), np.float32)
    vectors = _unit(values.reshape(len(frame), -1))
    clusters = verdicts.sort("row")["semantic_cluster"].to_numpy()
    # Each centroid is the direction of a sample's sum; what the exchange fitted is asked of it, not made again.
    centroids = _fitted(exchange).vectors.astype(np.float32) / SCALE
    began = time.perf_counter()
    plain = plain_semdedup(vectors, clusters, centroids, exchange.config.epsilon)
    seconds = time.perf_counter() - began
    ours = verdicts.sort("row")["reason"].is_not_null().to_numpy()
    both = int((plain & ours).sum())
    return {
        "plain_seconds": round(seconds, 1),
        "plain_dropped": int(plain.sum()),
        "equal_drops": round(both / max(int((plain | ours).sum()), 1), 5),
        "equal_verdicts": round(float((plain == ours).mean()), 5),
    }


class _Kept(DeduplicateSemantic):
    """Remembers its centroids, for the comparison."""

    fitted: Centroids | None = None

    def _fit(self, *arguments: Any) -> Centroids | None:
        self.fitted = super()._fit(*arguments)
        return self.fitted


def _fitted(exchange: DeduplicateSemantic) -> Centroids:
    assert isinstance(exchange, _Kept)
    assert exchange.fitted is not None
    return exchange.fitted


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; its last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--clusters", type=int, default=None)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--epsilon", type=float, default=0.03)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    exchange = _Kept(
        DeduplicateSemanticConfig(epsilon=options.epsilon, clusters=options.clusters, iterations=options.iterations)
    )
    with tempfile.TemporaryDirectory() as folder:
        paths = write_embeddings(Path(folder), options.rows, options.dimensions, options.seed)
        before = _peak_gib()
        began = time.perf_counter()
        verdicts = exchange.decide(pl.scan_parquet(paths, glob=False)).collect()
        seconds = time.perf_counter() - began
        peak = _peak_gib()
        figures = _compared(paths, verdicts, exchange)
    result = {
        "rows": options.rows,
        "dimensions": options.dimensions,
        "clusters": len(_fitted(exchange).vectors),
        "seconds": round(seconds, 1),
        "peak_gib": round(peak, 2),
        "peak_gib_before": round(before, 2),
        "dropped": verdicts.height - verdicts["reason"].null_count(),
        **figures,
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    sys.exit(main())
