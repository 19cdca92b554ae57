"""`deduplicate_text`: of rows that say the same, keeps the best."""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from curation.contracts.config import Config, StepConfig
from curation.contracts.exchange import Exchange, ExchangeSpec
from curation.similarity.clusters import cluster
from curation.similarity.near_texts import PARTNERS, near_texts
from curation.similarity.shingles import shingles_of
from curation.text.normal_form import check_text_type, check_texts, normal_form

logger = logging.getLogger(__name__)

Order = Literal["best_score", "longest_text", "first"]

_ORDERS: dict[str, tuple[tuple[str, ...], pl.Expr]] = {
    "best_score": (("clip_score",), pl.col("clip_score").fill_nan(None)),
    "longest_text": ((), pl.col("said").str.len_chars()),
    "first": ((), -pl.col("row")),
}
"""The columns that an order reads beside the text, and the figure of which the largest is the best."""


class NearText(Config):
    """Which texts are near-copies by the shingles, runs of words, that they share.

    Attributes:
        threshold: Least share of the shingles of two texts that both have (Jaccard similarity).
        shingle_words: Words of a shingle: 1 compares bags of words, more heed their order.
        permutations: Of MinHash, by which near-copies are found before they are verified exactly.
        bands: Among which the permutations are divided; more bands miss fewer pairs near the threshold and take longer.
        max_group: Different texts of a group that may be connected by chains of near-copies. A larger one is split into
            stars, in which every text is a near-copy of the best one; 1 makes stars of everything.
    """

    threshold: float = Field(0.8, gt=0.0, le=1.0)
    shingle_words: int = Field(2, ge=1, le=20)
    permutations: int = Field(160, ge=1, le=4096)
    bands: int = Field(32, ge=1, le=1024)
    max_group: int = Field(1000, ge=1)

    @model_validator(mode="after")
    def _bands_are_alike(self) -> NearText:
        if self.permutations % self.bands:
            raise ValueError(f"permutations ({self.permutations}) must be a multiple of bands ({self.bands})")
        return self


class DeduplicateTextConfig(StepConfig):
    """What counts as the same text, and which rows are kept.

    Texts are the same if their words are, case and punctuation aside.

    Attributes:
        column: The texts. Rows without one are kept.
        near: Near-copies are copies, too; null looks for none.
        keep: So many rows of each group are kept.
        prefer: What makes a row the best, the first order before the second: `best_score` by CLIP, `longest_text`,
            `first` in the source. Ties are broken by key.
        seed: Of MinHash.
    """

    kind: Literal["deduplicate_text"] = "deduplicate_text"
    column: str = "text"
    near: NearText | None = NearText()
    keep: int = Field(1, ge=1)
    prefer: tuple[Order, ...] = ()
    seed: int = Field(0, ge=0, lt=2**63)


class DeduplicateText(Exchange):
    """Rejects all but the best rows of every group that says the same."""

    Config = DeduplicateTextConfig
    config: DeduplicateTextConfig

    @property
    def spec(self) -> ExchangeSpec:
        """Reads the text, and the columns that its orders need."""
        columns = [self.config.column, *(column for order in self.config.prefer for column in _ORDERS[order][0])]
        adds = ("text_duplicate_of", "text_similarity", "text_group")
        return ExchangeSpec("deduplicate_text", 1, tuple(dict.fromkeys(columns)), adds)

    def check(self) -> None:
        """Whether the column can hold texts."""
        check_texts(self.config.column)

    def decide(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Finds the groups and the best of each."""
        check_text_type(frame, self.config.column)
        orders = [_ORDERS[order][1] for order in self.config.prefer]
        said = frame.with_columns(said=normal_form(pl.col(self.config.column)))
        by = [*orders, pl.col("key"), pl.col("row")]
        descending = [True] * len(orders) + [False, False]
        ranked = said.sort(by, descending=descending, nulls_last=True).select("row", "key", "said").collect()
        ranked = ranked.with_row_index("rank")
        # Different texts, in the order of their best rows, so that the smaller number is the better text.
        texts = ranked.drop_nulls("said").group_by("said").agg(best=pl.col("rank").min()).sort("best")
        group, similarity = self._groups(texts["said"])
        texts = texts.with_row_index("text").with_columns(group=pl.Series(group), similarity=pl.Series(similarity))
        return self._verdicts(ranked, texts)

    def _groups(self, texts: pl.Series) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """The best text of each text's group, and the similarity to the nearest of its group, NaN without one."""
        similarity = np.full(len(texts), np.nan, np.float32)
        near = self.config.near
        if near is None or texts.is_empty():
            return np.arange(len(texts), dtype=np.int32), similarity
        # A text without words has nothing that could be near.
        wordy = texts.str.contains(r"[\p{L}\p{N}]").arg_true().to_numpy()
        shingles = shingles_of(texts.gather(wordy), near.shingle_words)
        pairs = near_texts(shingles, near.threshold, near.permutations, near.bands, self.config.seed)
        if pairs.crowded:
            logger.warning(
                "%s: %d texts share a band with more than %d others and were compared with so many alone, so some "
                "near-copies of them may be kept; raise shingle_words, or permutations for each band",
                *(self.config.step_name, pairs.crowded, PARTNERS),
            )
        left, right = wordy[pairs.left].astype(np.int32), wordy[pairs.right].astype(np.int32)
        clusters = cluster(len(texts), left, right, near.max_group)
        inside = clusters.best[left] == clusters.best[right]
        for ends in (left, right):
            np.fmax.at(similarity, ends[inside], pairs.similarity[inside])
        if clusters.split and near.max_group > 1:
            logger.warning(
                "%s: %d groups connected by chains of near-copies had more than max_group texts (the largest %d) and "
                "were split; raise threshold if these are different texts",
                *(self.config.step_name, len(clusters.split), clusters.split[0]),
            )
        return clusters.best, similarity

    def _verdicts(self, ranked: pl.DataFrame, texts: pl.DataFrame) -> pl.LazyFrame:
        rows = ranked.lazy().join(
            texts.lazy().select("said", "text", "group", "similarity", "best"),
            on="said",
            how="left",
            maintain_order="left",
        )
        grouped = pl.col("group").is_not_null()
        place = pl.int_range(pl.len()).over("group", order_by="rank")
        best_of_group = texts.lazy().select(group="text", best_rank="best")
        keys = ranked.lazy().select(best_rank="rank", best_key="key")
        judged = (
            rows.with_columns(gone=grouped & (place >= self.config.keep), many=grouped & (pl.len().over("group") > 1))
            .join(best_of_group.with_columns(pl.col("group").cast(pl.Int32)), on="group", how="left")
            .join(keys, on="best_rank", how="left")
        )
        equal = (pl.col("rank") != pl.col("best")) | (pl.col("text").cast(pl.Int64) == pl.col("group").cast(pl.Int64))
        threshold = self.config.near.threshold if self.config.near else 1.0
        return judged.select(
            "row",
            reason=pl.when("gone").then(pl.when(equal).then(pl.lit("exact")).otherwise(pl.lit("near"))),
            detail=pl.when("gone").then(
                pl.when(equal)
                .then(pl.lit("equal words"))
                .otherwise(
                    pl.format("jaccard {} >= {}", pl.col("similarity").cast(pl.Float64).round(4), pl.lit(threshold))
                )
            ),
            text_duplicate_of=pl.when("gone").then("best_key"),
            text_similarity=pl.when("many").then(
                pl.when(pl.len().over("said") > 1)
                .then(pl.lit(1.0, pl.Float32))
                .otherwise(pl.col("similarity").fill_nan(None))
            ),
            text_group=pl.when("many").then(pl.col("row").min().over("group")),
        )
