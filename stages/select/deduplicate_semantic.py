"""`deduplicate_semantic`: of what means the same by its embedding, keeps one."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from curation.contracts.config import Later, StepConfig, Tuning
from curation.contracts.exchange import Exchange, ExchangeSpec
from curation.errors import RecipeError
from curation.evaluation_sets.files import find_set
from curation.evaluation_sets.vectors import check_vectors, table_vectors
from curation.key_draws import key_bits
from curation.similarity.earlier_cosines import nearest_earlier
from curation.similarity.spherical_kmeans import Centroids, fit_centroids
from curation.similarity.vector_buckets import VectorBuckets
from curation.similarity.vector_sample import first_vectors
from curation.similarity.whole_vectors import VectorBatch, vector_batches
from curation.storage.column_scan import collect_columns
from schemas.columns import COLUMNS

logger = logging.getLogger(__name__)

_SAMPLE_OF_CLUSTER = 128
_NONE = -1


class DeduplicateSemanticConfig(StepConfig):
    """How alike is alike, among how many, and which one is kept.

    Attributes:
        column: The embeddings: of `score_alignment`, or a column of vectors that the source carries along.
        epsilon: A row is rejected if its cosine to an earlier one of its cluster is above 1 - epsilon. Published for
            CLIP on LAION-440M: 0.00095 rejects 30 %, 0.03 half. Null: clusters alone, no row is compared or rejected.
        clusters: Only rows of one cluster are compared. Null: the square root of the number of rows. Published: 50,000.
        iterations: Of k-means at most; it ends when no row of the sample changes its cluster.
        sample_rows: Rows that the clusters are fitted to, drawn by key. Null: 128 for each cluster, or all rows if
            these are fewer. They take two bytes a dimension: up to 1 GiB in memory, a larger sample on scratch disk.
        seed: Another seed, another sample and other clusters.
        keep: Which rows of a cluster come first, and so are kept: those `farthest` from its centroid, as published,
            those `nearest` to it, or those with the `best_score` by CLIP. Ties are broken by key.
        targets: Parquet tables with a column of the same name, of pictures that more is wanted like: a file, a folder
            or a glob, any fsspec URL, such as the shards' tables of a run over them. A row is rejected if the centroid
            of its cluster is the nearest to none of them, or it has no embedding. Null: no cluster is rejected.
        tile_rows: So many rows are compared with so many at a time.
    """

    kind: Literal["deduplicate_semantic"] = "deduplicate_semantic"
    column: str = "image_embedding"
    epsilon: float | None = Field(0.03, ge=0.0, le=2.0)
    clusters: int | None = Field(None, ge=1)
    iterations: int = Field(100, ge=1)
    sample_rows: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0, lt=2**63)
    keep: Literal["farthest", "nearest", "best_score"] = "farthest"
    targets: Later[str | None] = Field(None, min_length=1)
    tile_rows: Tuning[int] = Field(2048, ge=1, le=32_768)


class DeduplicateSemantic(Exchange):
    """Rejects every row whose embedding is nearly that of a row which comes before it in its cluster.

    A row is held against all that come before it, rejected ones too, as published. Rows without an embedding are kept.
    Vectors are put away on scratch disk (two bytes a dimension, in the folder that `TMPDIR` names) and compared cluster
    by cluster. What is held of them in memory is a few tiles, 1 GiB of the sample at most (a larger one lies on scratch
    disk, in up to two and a quarter times its size), and the centroids, which take some 25 bytes a dimension while they
    are fitted. Clusters and verdicts are the same on every machine, since all products are of whole numbers.

    Source: Abbas et al., "SemDeDup: Data-efficient learning at web-scale through semantic deduplication" (2023),
        section 3 and its pseudo-code. What departs: the clusters are fitted to a sample, and embeddings are compared in
        steps of 1/4000. Targets: Gadre et al., "DataComp: In search of the next generation of multimodal datasets"
        (2023), section 3.4, image-based filtering.
    """

    Config = DeduplicateSemanticConfig
    config: DeduplicateSemanticConfig

    @property
    def spec(self) -> ExchangeSpec:
        """Reads the embeddings, and the score where it says what is kept."""
        score = ("clip_score",) if self._by_score else ()
        adds = ("semantic_cluster", "semantic_cosine", "semantic_duplicate_of")
        return ExchangeSpec("deduplicate_semantic", 1, (self.config.column, *score), adds)

    @property
    def _by_score(self) -> bool:
        """Whether anything hangs on the score: clusters alone do not."""
        return self.config.keep == "best_score" and self.config.epsilon is not None

    def check(self) -> None:
        """Whether the column can hold vectors."""
        column = self.config.column
        if column in COLUMNS and not COLUMNS[column].is_vector:
            vectors = ", ".join(name for name, known in COLUMNS.items() if known.is_vector)
            raise RecipeError(f"column {column} holds no vectors ({COLUMNS[column].meaning}); name one of {vectors}")
        if self.config.targets is not None:
            check_vectors(find_set(self.config.targets, "tables"), column)

    def content_digest(self) -> str | None:
        """Of the tables of targets."""
        return find_set(self.config.targets, "tables").digest if self.config.targets is not None else None

    def decide(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Fits clusters, puts every row into one, and looks through each for rows that are alike."""
        scores = ("clip_score",) if self._by_score else ()
        rows = collect_columns(frame.select("row", "key", *scores).sort("key", "row"))
        # From here on a row is its rank by key: the smaller one wins ties.
        ranked = _Ranks(rows["row"].to_numpy())
        centroids = self._fit(frame, rows["key"], ranked)
        cluster = np.full(len(rows), _NONE, np.int32)
        cosine = np.full(len(rows), np.nan, np.float32)
        nearest = np.full(len(rows), _NONE, np.int32)
        if centroids is not None:
            if self.config.epsilon is None:
                for batch, ranks in self._batches(frame, ranked):
                    cluster[ranks], _ = centroids.assign(batch.vectors)
            else:
                self._compare(frame, rows, ranked, centroids, cluster, cosine, nearest)
            logger.info(
                "%s: %d clusters, the largest of %d rows",
                *(self.config.step_name, len(centroids.vectors), int(np.bincount(cluster[cluster >= 0]).max())),
            )
        return self._verdicts(rows, cluster, cosine, nearest, self._wanted(centroids))

    def _wanted(self, centroids: Centroids | None) -> npt.NDArray[np.int32] | None:
        """The clusters nearest to any target, ascending; None where all are wanted."""
        if self.config.targets is None:
            return None
        if centroids is None:
            return np.empty(0, np.int32)
        nearest: set[int] = set()
        targets = 0
        dimensions = centroids.vectors.shape[1]
        for vectors in table_vectors(find_set(self.config.targets, "tables"), self.config.column):
            if vectors.shape[1] != dimensions:
                raise RecipeError(
                    f"{self.config.step_name}: the rows have embeddings of {dimensions} dimensions, `targets` has "
                    f"them of {vectors.shape[1]}; embed both by one model"
                )
            nearest.update(np.unique(centroids.assign(vectors)[0]).tolist())
            targets += len(vectors)
        logger.info("%s: %d clusters are nearest to one of %d targets", self.config.step_name, len(nearest), targets)
        return np.array(sorted(nearest), np.int32)

    def _compare(
        self,
        frame: pl.LazyFrame,
        rows: pl.DataFrame,
        ranked: _Ranks,
        centroids: Centroids,
        *found: npt.NDArray[Any],
    ) -> None:
        """Fills in the cluster of each rank, the cosine to the nearest before it there, and the rank of that."""
        cluster, cosine, nearest = found
        with VectorBuckets(len(rows), centroids.vectors.shape[1]) as buckets:
            near_centroid = np.zeros(len(rows), np.float32)
            for batch, ranks in self._batches(frame, ranked):
                cluster[ranks], _ = centroids.assign(batch.vectors)
                near_centroid[ranks] = centroids.cosines(batch.units, cluster[ranks])
                buckets.add(cluster[ranks], ranks, batch.vectors)
            for ranks, stored, places in buckets.clusters(self._order(near_centroid, rows)):
                near, before = nearest_earlier(stored, places, self.config.tile_rows)
                # That of equal vectors is rounded to a little less or more than 1.
                cosine[ranks] = np.minimum(near, 1)
                nearest[ranks[1:]] = ranks[before[1:]]

    def _batches(self, frame: pl.LazyFrame, ranked: _Ranks) -> Iterator[tuple[VectorBatch, npt.NDArray[np.int32]]]:
        for batch in vector_batches(frame, self.config.column):
            yield batch, ranked.of(batch.rows)

    def _fit(self, frame: pl.LazyFrame, keys: pl.Series, ranked: _Ranks) -> Centroids | None:
        """The centroids; None where no row has an embedding."""
        clusters = self.config.clusters or math.ceil(math.sqrt(max(len(keys), 1)))
        order = np.lexsort((np.arange(len(keys)), _draws(keys, self.config.seed)))
        place = np.empty(len(keys), np.int32)
        place[order] = np.arange(len(keys), dtype=np.int32)
        drawn = ((place[ranks], batch.vectors) for batch, ranks in self._batches(frame, ranked))
        wanted = min(self.config.sample_rows or _SAMPLE_OF_CLUSTER * clusters, len(keys))
        sample = first_vectors(drawn, wanted)
        return None if sample is None else fit_centroids(sample, clusters, self.config.iterations)

    def _order(self, centroid_cosines: npt.NDArray[np.float32], rows: pl.DataFrame) -> npt.NDArray[np.int32]:
        """(n,) int32: which rows of a cluster come before which, by rank."""
        if self.config.keep == "best_score":
            scores = rows["clip_score"].fill_nan(None).fill_null(-np.inf).to_numpy()
            figure = -scores
        else:
            figure = centroid_cosines if self.config.keep == "farthest" else -centroid_cosines
        worth = np.empty(len(rows), np.int32)
        worth[np.argsort(figure, kind="stable")] = np.arange(len(rows), dtype=np.int32)
        return worth

    def _verdicts(
        self,
        rows: pl.DataFrame,
        cluster: npt.NDArray[np.int32],
        cosine: npt.NDArray[np.float32],
        nearest: npt.NDArray[np.int32],
        wanted: npt.NDArray[np.int32] | None,
    ) -> pl.LazyFrame:
        # No cosine is above 2.
        bound = 1 - self.config.epsilon if self.config.epsilon is not None else 2.0
        with np.errstate(invalid="ignore"):
            alike = pl.Series(cosine.astype(np.float64) > bound)
        of = rows["key"].gather(np.where(alike.to_numpy(), nearest, 0)) if len(rows) else rows["key"]
        far = np.zeros(len(rows), np.bool_) if wanted is None else ~np.isin(cluster, wanted)
        columns = {"alike": alike, "far": far, "cluster": cluster, "cosine": cosine, "of": of}
        clustered = pl.col("cluster") >= 0
        return pl.LazyFrame({"row": rows["row"], **columns}).select(
            "row",
            reason=pl.when("far").then(pl.lit("far_from_targets")).when("alike").then(pl.lit("semantic")),
            detail=pl.when(pl.col("far") & ~clustered)
            .then(pl.lit("no embedding"))
            .when("far")
            .then(pl.format("cluster {} is nearest to no target", "cluster"))
            .when("alike")
            .then(pl.format("cosine {} > {}", pl.col("cosine").cast(pl.Float64).round(6), pl.lit(f"{bound:.7g}"))),
            semantic_cluster=pl.when(clustered).then("cluster"),
            semantic_cosine=pl.col("cosine").fill_nan(None),
            semantic_duplicate_of=pl.when("alike").then("of"),
        )


class _Ranks:
    """From a row's number to its rank.

    Args:
        rows: (n,) int64, in order of rank.
    """

    def __init__(self, rows: npt.NDArray[np.int64]) -> None:
        self._order = np.argsort(rows).astype(np.int32)
        self._sorted = rows[self._order]

    def of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """(n,) int32: the ranks of rows."""
        return self._order[np.searchsorted(self._sorted, rows)]


def _draws(keys: pl.Series, seed: int) -> npt.NDArray[np.uint64]:
    """A random number for each key: (n,) uint64."""
    return pl.DataFrame({"key": keys}).select(key_bits(seed)).to_series().to_numpy()
