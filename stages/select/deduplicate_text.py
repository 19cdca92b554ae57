"""`deduplicate_text`: of rows that say the same, keeps the best."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from curation.contracts.config import Config, StepConfig
from curation.contracts.exchange import Exchange, ExchangeSpec
from curation.internal_columns import internal
from curation.row_keys import KEY_BYTES
from curation.similarity.clusters import cluster
from curation.similarity.equals import first_of_equals
from curation.similarity.hex_numbers import digits_of, numbers_or_texts
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
        return ExchangeSpec("deduplicate_text", 2, tuple(dict.fromkeys(columns)), adds)

    def check(self) -> None:
        """Whether the column can hold texts."""
        check_texts(self.config.column)

    def decide(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Finds the groups and the best of each."""
        check_text_type(frame, self.config.column)
        orders = {internal(f"order_{place}"): _ORDERS[order][1] for place, order in enumerate(self.config.prefer)}
        said = frame.with_columns(said=normal_form(pl.col(self.config.column)))
        held = numbers_or_texts(said, {"key": 2 * KEY_BYTES}, {"row": pl.col("row"), "said": pl.col("said"), **orders})
        by = [*orders, "key", "row"]
        descending = [True] * len(orders) + [False, False]
        order = held.select(pl.arg_sort_by(by, descending=descending, nulls_last=True)).to_series()
        # From here on a row is its rank: the smaller, the better.
        texts = held.drop_in_place("said").rechunk().gather(order)
        ranked = held.select(pl.col("row", "key").gather(order))
        del held
        first = first_of_equals(texts)
        # Different texts, in the order of their best rows, so that the smaller number is the better text.
        best = np.flatnonzero((first == np.arange(len(first))) & texts.is_not_null().to_numpy())
        number = np.full(len(first), -1, np.int32)
        number[best] = np.arange(len(best), dtype=np.int32)
        group, similarity = self._groups(texts.gather(best))
        return self._verdicts(ranked, _Said(number[first], best, group, similarity))

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

    def _verdicts(self, ranked: pl.DataFrame, said: _Said) -> pl.LazyFrame:
        grouped = said.text >= 0
        group = np.append(said.group, np.int32(-1))[said.text]
        sizes = np.bincount(group[grouped], minlength=1)
        gone = grouped & (_places_within(group, len(sizes)) >= self.config.keep)
        many = pl.Series(grouped & (sizes[group] > 1))
        first_row = np.full(len(sizes), np.iinfo(np.int64).max)
        np.minimum.at(first_row, group[grouped], ranked["row"].to_numpy()[grouped])
        alike = np.bincount(said.text[grouped], minlength=1)[said.text] > 1
        similarity = np.append(said.similarity, np.float32(np.nan))[said.text]
        # Rows without a text, -1, get what is behind all others; nothing is said of them.
        bests = np.append(said.best, 0)
        judged = pl.LazyFrame(
            {
                "row": ranked["row"],
                "gone": gone,
                "equal": (bests[said.text] != np.arange(len(group))) | (said.text == group),
                "key": ranked["key"].gather(pl.Series(bests[group]).set(pl.Series(~gone), None)),
                "similarity": pl.Series(similarity).fill_nan(None),
                "told": pl.Series(np.where(alike, np.float32(1), similarity)).fill_nan(None).set(~many, None),
                "group": pl.Series(first_row[group]).set(~many, None),
            }
        )
        threshold = self.config.near.threshold if self.config.near else 1.0
        near = pl.format("jaccard {} >= {}", pl.col("similarity").cast(pl.Float64).round(4), pl.lit(threshold))
        return judged.select(
            "row",
            reason=pl.when("gone").then(pl.when("equal").then(pl.lit("exact")).otherwise(pl.lit("near"))),
            detail=pl.when("gone").then(pl.when("equal").then(pl.lit("equal words")).otherwise(near)),
            text_duplicate_of=pl.col("key").map_batches(digits_of, pl.String, is_elementwise=True),
            text_similarity="told",
            text_group="group",
        )


@dataclass(frozen=True, slots=True)
class _Said:
    """What the rows say, by rank.

    Attributes:
        text: (n,) int32, the number of each row's text, -1 without one.
        best: (t,) int64, the best row of each text, ascending.
        group: (t,) int32, the best text of each text's group.
        similarity: (t,) float32, to the nearest text of the group, NaN without one.
    """

    text: npt.NDArray[np.int32]
    best: npt.NDArray[np.int64]
    group: npt.NDArray[np.int32]
    similarity: npt.NDArray[np.float32]


def _places_within(group: npt.NDArray[np.int32], count: int) -> npt.NDArray[np.int64]:
    """How many rows before each are of its group: (n,) int64; rows of group -1 are counted together."""
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group + 1, minlength=count + 1)
    places = np.empty(len(group), np.int64)
    places[order] = np.arange(len(group)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return places
