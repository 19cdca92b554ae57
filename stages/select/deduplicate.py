"""`deduplicate`: keeps the best of every group of copies."""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from curation.contracts.config import Config, StepConfig
from curation.contracts.exchange import Exchange, ExchangeSpec
from curation.similarity.clusters import cluster
from curation.similarity.hashes import hashes_from_hex
from curation.similarity.near_pairs import MAX_DISTANCE
from curation.similarity.variants import Variant, near_pairs_of_variants

logger = logging.getLogger(__name__)

Order = Literal["largest", "best_score", "longest_text", "first"]
Places = npt.NDArray[np.int32]

_ORDERS: dict[str, tuple[tuple[str, ...], pl.Expr]] = {
    "largest": (
        ("original_width", "original_height"),
        pl.col("original_width").cast(pl.Int64) * pl.col("original_height"),
    ),
    "best_score": (("clip_score",), pl.col("clip_score").fill_nan(None)),
    "longest_text": (("text_chars",), pl.col("text_chars")),
    "first": ((), -pl.col("row")),
}
"""The columns that an order reads, and the figure of which the largest is the best."""


class Perceptual(Config):
    """Which pictures are near-copies by their PDQ hashes.

    Attributes:
        max_distance: Bits of 256 in which the hashes of near-copies differ at most; PDQ's authors advise 31.
        variants: Columns with the PDQ hashes of variants of each picture, such as its inner part, which finds crops, or
            its mirror image. They are compared with the hashes of the others' whole pictures.
        min_quality: Pictures of a lower PDQ quality have too little detail to be compared, and keep to themselves.
        max_group: Distinct hashes of a group that may be connected by chains of near-copies. A larger one is split into
            stars, in which every picture is a near-copy of the kept one; 1 makes stars of everything.
    """

    max_distance: int = Field(default=31, ge=0, le=MAX_DISTANCE)
    variants: tuple[str, ...] = ()
    min_quality: int = Field(default=50, ge=0, le=100)
    max_group: int = Field(default=1000, ge=1)


class DeduplicateConfig(StepConfig):
    """What counts as a copy, and which copy is kept.

    Rows of the same key, which are the same pair given twice, are always copies.

    Attributes:
        exact: Pictures with the same bytes are copies.
        perceptual: Near-copies are copies; null looks for none.
        prefer: What makes a copy the best, the first order before the second: `largest` in pixels before resizing,
            `best_score` by CLIP, `longest_text`, `first` in the source. Ties are broken by key.
    """

    kind: Literal["deduplicate"] = "deduplicate"
    exact: bool = True
    perceptual: Perceptual | None = Perceptual()
    prefer: tuple[Order, ...] = ("largest",)


class Deduplicate(Exchange):
    """Rejects every row of which a better copy is kept."""

    Config = DeduplicateConfig
    config: DeduplicateConfig

    @property
    def spec(self) -> ExchangeSpec:
        """Reads the columns that its settings need."""
        columns = [column for order in self.config.prefer for column in _ORDERS[order][0]]
        columns += ["sha256"] if self.config.exact else []
        columns += self._hash_columns()
        requires = tuple(dict.fromkeys(columns))
        return ExchangeSpec("deduplicate", 1, requires, ("duplicate_of", "duplicate_distance", "duplicate_group"))

    def decide(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Finds the groups of copies and the best of each."""
        hashes = [*(["sha256"] if self.config.exact else []), *self._hash_columns()]
        orders = [_ORDERS[order][1] for order in self.config.prefer]
        by = [*orders, pl.col("key"), pl.col("row")]
        descending = [True] * len(orders) + [False, False]
        ranked = frame.sort(by, descending=descending, nulls_last=True).select("row", "key", *hashes).collect()
        # From here on a row is its rank: the smaller, the better.
        same_key = _first_of_equals(ranked["key"])
        same_bytes = self._same_bytes(ranked, same_key)
        best, distance = self._near_copies(ranked, same_bytes)
        return _verdicts(ranked, same_key, same_bytes, best, distance, self._bound())

    def _same_bytes(self, ranked: pl.DataFrame, same_key: Places) -> Places:
        """The best rank with the same picture. A repeated row has the picture of the row that it repeats."""
        if not self.config.exact:
            return same_key
        repeated = pl.Series(same_key != _alone(len(ranked)))
        return _first_of_equals(ranked["sha256"].set(repeated, None))[same_key]

    def _hash_columns(self) -> list[str]:
        return ["pdq", "pdq_quality", *self.config.perceptual.variants] if self.config.perceptual else []

    def _bound(self) -> int:
        return self.config.perceptual.max_distance if self.config.perceptual else 0

    def _near_copies(self, ranked: pl.DataFrame, same_bytes: Places) -> tuple[Places, npt.NDArray[np.int16]]:
        """The best copy of each rank, and the distance to the nearest copy, -1 where no hash was found near."""
        settings = self.config.perceptual
        none = np.full(len(ranked), -1, np.int16)
        if settings is None:
            return same_bytes, none
        originals = same_bytes == _alone(len(ranked))
        telling = ranked["pdq"].is_not_null() & (ranked["pdq_quality"] >= settings.min_quality)
        compared = np.nonzero(originals & telling.fill_null(False).to_numpy())[0]
        same_hash = _alone(len(ranked))
        same_hash[compared] = compared[_first_of_equals(ranked["pdq"].gather(compared))]
        items = np.unique(same_hash[compared])
        variants = [_variant(ranked[column].gather(items)) for column in settings.variants]
        pairs = near_pairs_of_variants(hashes_from_hex(ranked["pdq"].gather(items)), variants, settings.max_distance)
        clusters = cluster(len(items), pairs.left, pairs.right, settings.max_group)
        self._report(clusters.best, clusters.split)
        inside = clusters.best[pairs.left] == clusters.best[pairs.right]
        nearest = np.full(len(items), np.iinfo(np.int16).max, np.int16)
        for ends in (pairs.left, pairs.right):
            np.minimum.at(nearest, ends[inside], pairs.distance[inside])
        nearest[nearest == np.iinfo(np.int16).max] = -1
        best, distance = _alone(len(ranked)), none
        best[items], distance[items] = items[clusters.best], nearest
        of_row = same_hash[same_bytes]
        distance[np.bincount(of_row, minlength=len(ranked)) > 1] = 0
        return best[of_row], distance[of_row]

    def _report(self, best: Places, split: tuple[int, ...]) -> None:
        sizes = np.bincount(best, minlength=1)
        logger.info(
            "%s: %d groups of near-copies with more than one hash, the largest of %d hashes",
            *(self.config.step_name, int((sizes > 1).sum()), int(sizes.max())),
        )
        if split and self.config.perceptual and self.config.perceptual.max_group > 1:
            logger.warning(
                "%s: %d groups connected by chains of near-copies had more than max_group hashes (the largest %d) and "
                "were split, so that each picture is a near-copy of the kept one; lower max_distance if these are "
                "different pictures, raise max_group if they are copies",
                *(self.config.step_name, len(split), split[0]),
            )


def _variant(hashes: pl.Series) -> Variant:
    present = hashes.is_not_null()
    return Variant(present.arg_true().cast(pl.Int32).to_numpy(), hashes_from_hex(hashes.filter(present)))


def _alone(count: int) -> Places:
    return np.arange(count, dtype=np.int32)


def _first_of_equals(values: pl.Series) -> Places:
    """(n,) int32: the first place with the same value; its own place for null."""
    frame = pl.DataFrame({"value": values, "place": _alone(len(values))})
    first = pl.when(pl.col("value").is_null()).then("place").otherwise(pl.col("place").min().over("value"))
    return frame.select(first.alias("first")).to_series().cast(pl.Int32).to_numpy().copy()


def _verdicts(
    ranked: pl.DataFrame,
    same_key: Places,
    same_bytes: Places,
    best: Places,
    distance: npt.NDArray[np.int16],
    bound: int,
) -> pl.LazyFrame:
    """The verdict of every row: all but the best of a group are copies, and each names the strongest tie."""
    ties = pl.LazyFrame(
        {
            "row": ranked["row"],
            "key": ranked["key"],
            "rank": _alone(len(ranked)),
            "same_key": same_key,
            "same_bytes": same_bytes,
            "best": best,
            "distance": distance,
        }
    )
    kept = ties.filter(pl.col("rank") == pl.col("best")).select("best", duplicate_of="key")
    of_group = pl.len().over("best") > 1
    judged = ties.with_columns(
        duplicate_distance=pl.max_horizontal("distance", pl.lit(0, pl.Int16)),
        duplicate_group=pl.when(of_group).then(pl.col("row").min().over("best")),
        reason=pl.when(pl.col("rank") == pl.col("best"))
        .then(None)
        .when(pl.col("same_key") != pl.col("rank"))
        .then(pl.lit("repeated_row"))
        .when(pl.col("same_bytes") != pl.col("rank"))
        .then(pl.lit("exact"))
        .otherwise(pl.lit("perceptual")),
    )
    rejected = pl.col("reason").is_not_null()
    return judged.join(kept, on="best", how="left", maintain_order="left").select(
        "row",
        "reason",
        detail=pl.when(pl.col("reason") == "perceptual")
        .then(pl.format("pdq distance {} <= {}", "duplicate_distance", pl.lit(bound)))
        .when(pl.col("reason") == "exact")
        .then(pl.lit("equal sha256"))
        .when(rejected)
        .then(pl.lit("equal source, url and caption")),
        duplicate_of=pl.when(rejected).then("duplicate_of"),
        duplicate_distance=pl.when(of_group).then("duplicate_distance"),
        duplicate_group="duplicate_group",
    )
