"""`deduplicate`: keeps the best of every group of copies."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pydantic import Field

from curation.contracts.config import Config, StepConfig
from curation.contracts.exchange import ExchangeSpec, GroupingExchange, Memory
from curation.errors import RecipeError
from curation.internal_columns import internal
from curation.net.normal_urls import normal_urls
from curation.row_keys import KEY_BYTES
from curation.similarity.clusters import cluster
from curation.similarity.equals import first_of_equals
from curation.similarity.hashes import hashes_from_hex
from curation.similarity.hex_numbers import digits_of, numbers_or_texts
from curation.similarity.near_pairs import MAX_DISTANCE, NearPairs
from curation.similarity.variants import Variant
from curation.storage.column_scan import collect_columns
from curation.text.normal_form import normal_form
from schemas.columns import COLUMNS, PDQ_DIHEDRAL
from stages.select.remembered_pairs import remembered_pairs

logger = logging.getLogger(__name__)

Equality = Literal["image", "url", "pair"]
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

_EQUALITIES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "image": (("sha256",), "exact", "equal sha256"),
    "url": (("url",), "same_url", "equal normalised url"),
    "pair": (("sha256", "text"), "same_pair", "equal sha256 and normalised text"),
}
"""The columns that an equality reads, the rule by which a row goes, and what is equal."""

_SHA256_DIGITS = 64


class Perceptual(Config):
    """Which pictures are near-copies by their PDQ hashes.

    Attributes:
        max_distance: Bits of 256 in which the hashes of near-copies differ at most; PDQ's authors advise 31.
        variants: Columns with the PDQ hashes of variants of each picture, such as its inner part, which finds crops, or
            its mirror image. They are compared with the hashes of the others' whole pictures. `dihedral` stands for
            all quarter turns and flips, which `fingerprint` makes with its setting of that name.
        min_quality: Pictures of a lower PDQ quality have too little detail to be compared, and keep to themselves.
        max_group: Distinct hashes of a group that may be connected by chains of near-copies. A larger one is split into
            stars, in which every picture is a near-copy of the kept one; 1 makes stars of everything.
    """

    max_distance: int = Field(default=31, ge=0, le=MAX_DISTANCE)
    variants: tuple[str, ...] = ()
    min_quality: int = Field(default=50, ge=0, le=100)
    max_group: int = Field(default=1000, ge=1)

    @property
    def variant_columns(self) -> tuple[str, ...]:
        """The columns that `variants` stands for."""
        named = [PDQ_DIHEDRAL if name == "dihedral" else (name,) for name in self.variants]
        return tuple(dict.fromkeys(column for columns in named for column in columns))


class DeduplicateConfig(StepConfig):
    """What counts as a copy, and which copy is kept.

    Rows of the same key, which are the same pair given twice, are always copies. With `exact: false` and
    `perceptual: null` they alone are, and it adds no column: another `deduplicate` may follow. With `prefer: [first]`
    it reads none either, so that it can stand before anything is fetched.

    Attributes:
        exact: What makes rows copies by being equal: `image`, the bytes; `url`, the address in its normal spelling;
            `pair`, the bytes together with the text without regard to case and punctuation. A list of these, or true
            for `[image]`, false for none.
        drop_parameters: Query parameters without which addresses are compared, such as `utm_*` (`*`: any characters).
        sort_parameters: Addresses are compared whatever the order of their parameters.
        perceptual: Near-copies are copies; null looks for none.
        prefer: What makes a copy the best, the first order before the second: `largest` in pixels before resizing,
            `best_score` by CLIP, `longest_text`, `first` in the source. Ties are broken by key.
    """

    kind: Literal["deduplicate"] = "deduplicate"
    exact: bool | tuple[Equality, ...] = True
    drop_parameters: tuple[str, ...] = ()
    sort_parameters: bool = False
    perceptual: Perceptual | None = Perceptual()
    prefer: tuple[Order, ...] = ("largest",)


class Deduplicate(GroupingExchange):
    """Rejects every row of which a better copy is kept."""

    Config = DeduplicateConfig
    config: DeduplicateConfig

    def __init__(self, config: StepConfig) -> None:
        super().__init__(config)
        self._memory: Memory | None = None

    def remember_in(self, memory: Memory) -> None:
        """Near pairs are kept."""
        self._memory = memory

    @property
    def spec(self) -> ExchangeSpec:
        """Reads the columns that its settings need."""
        columns = [column for order in self.config.prefer for column in _ORDERS[order][0]]
        columns += [column for equality in self._equalities() for column in _EQUALITIES[equality][0]]
        columns += self._hash_columns()
        # Of rows with the same key, these columns say nothing: a row would be a duplicate of its own key.
        by_keys_alone = not self._equalities() and self.config.perceptual is None
        adds = () if by_keys_alone else ("duplicate_of", "duplicate_distance", "duplicate_group")
        return ExchangeSpec("deduplicate", 3, tuple(dict.fromkeys(columns)), adds)

    def check(self) -> None:
        """Whether the variants are hashes."""
        columns = self.config.perceptual.variant_columns if self.config.perceptual else ()
        for column in columns:
            if column in COLUMNS and not _is_hash(column):
                hashes = ", ".join(["dihedral", *filter(_is_hash, COLUMNS)])
                raise RecipeError(
                    f"{self.config.step_name}.perceptual.variants: {column} holds no PDQ hashes of variants "
                    f"({COLUMNS[column].meaning}); name one of {hashes}"
                )

    @property
    def ties(self) -> tuple[pl.Expr, ...]:
        """Keys, and whatever else makes copies by being equal."""
        return (pl.col("key"), *(self._value(equality) for equality in self._equalities()))

    def tied_otherwise(self, frame: pl.LazyFrame) -> pl.Series:
        """The rows whose hash is near, or the same as, that of another row."""
        settings = self.config.perceptual
        if settings is None:
            return pl.Series("row", [], pl.Int64)
        telling = pl.col("pdq").is_not_null() & (pl.col("pdq_quality") >= settings.min_quality)
        hashed = collect_columns(frame.filter(telling).select("row", "pdq", *settings.variant_columns))
        first = first_of_equals(hashed["pdq"])
        items, hash_of = np.unique(first, return_inverse=True)
        # A hash stands for all rows that have it, and so do their variants.
        variants = [_variant(hashed[column], hash_of.astype(np.int32)) for column in settings.variant_columns]
        pairs = self._near_pairs(hashed["pdq"].gather(items), variants, settings)
        together = np.bincount(hash_of, minlength=len(items)) > 1
        together[pairs.left] = together[pairs.right] = True
        return hashed["row"].filter(pl.Series(together[hash_of]))

    def decide(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Finds the groups of copies and the best of each."""
        held, order = self._held(frame)
        # From here on a row is its rank: the smaller, the better. A column that is done with is let go.
        same_key = first_of_equals(held["key"].gather(order))
        repeated = pl.Series(same_key != _alone(len(held)))
        values = (
            (name, held.drop_in_place(internal(name)).gather(order).set(repeated, None)) for name in self._equalities()
        )
        equal, rule = _equal_rows(values, same_key)
        best, distance = self._near_copies(held.select(self._hash_columns()), order, equal)
        verdicts = _verdicts(held, order, _Ties(same_key, equal, rule, best, distance), self._bound())
        return verdicts.select("row", "reason", "detail", *self.spec.adds)

    def _held(self, frame: pl.LazyFrame) -> tuple[pl.DataFrame, pl.Series]:
        """`row`, `key`, what may be equal and the hashes of all rows; and their places, those of better rows first."""
        orders = {internal(f"order_{place}"): _ORDERS[order][1] for place, order in enumerate(self.config.prefer)}
        equalities = self._equalities()
        image = internal("image")
        digits = {"key": 2 * KEY_BYTES, **({image: _SHA256_DIGITS} if "image" in equalities else {})}
        values = {internal(name): self._value(name) for name in equalities if internal(name) not in digits}
        others = {name: pl.col(name) for name in ("row", *self._hash_columns())}
        images = frame.with_columns(pl.col("sha256").alias(image)) if image in digits else frame
        held = numbers_or_texts(images, digits, {**others, **values, **orders})
        by = [*orders, "key", "row"]
        descending = [True] * len(orders) + [False, False]
        order = held.select(pl.arg_sort_by(by, descending=descending, nulls_last=True)).to_series()
        return held.drop(orders), order

    def _equalities(self) -> tuple[Equality, ...]:
        exact = self.config.exact
        if isinstance(exact, bool):
            return ("image",) if exact else ()
        return exact

    def _value(self, equality: Equality) -> pl.Expr:
        """What is equal of copies, as text."""
        if equality == "image":
            return pl.col("sha256")
        if equality == "pair":
            return pl.concat_str("sha256", normal_form(pl.col("text")), separator=" ")
        spelled = partial(
            normal_urls, drop_parameters=self.config.drop_parameters, sort_parameters=self.config.sort_parameters
        )
        return pl.col("url").map_batches(spelled, pl.String, is_elementwise=True)

    def _hash_columns(self) -> list[str]:
        return ["pdq", "pdq_quality", *self.config.perceptual.variant_columns] if self.config.perceptual else []

    def _bound(self) -> int:
        return self.config.perceptual.max_distance if self.config.perceptual else 0

    def _near_copies(
        self, hashed: pl.DataFrame, order: pl.Series, equal: Places
    ) -> tuple[Places, npt.NDArray[np.int16]]:
        """The best copy of each rank, and the distance to the nearest copy, -1 where no hash was found near."""
        settings = self.config.perceptual
        none = np.full(len(equal), -1, np.int16)
        if settings is None:
            return equal, none
        ranked = hashed[order]
        originals = equal == _alone(len(ranked))
        telling = ranked["pdq"].is_not_null() & (ranked["pdq_quality"] >= settings.min_quality)
        compared = np.nonzero(originals & telling.fill_null(False).to_numpy())[0]
        same_hash = _alone(len(ranked))
        same_hash[compared] = compared[first_of_equals(ranked["pdq"].gather(compared))]
        items = np.unique(same_hash[compared])
        variants = [_variant(ranked[column].gather(items), _alone(len(items))) for column in settings.variant_columns]
        pairs = self._near_pairs(ranked["pdq"].gather(items), variants, settings)
        clusters = cluster(len(items), pairs.left, pairs.right, settings.max_group)
        self._report(clusters.best, clusters.split)
        inside = clusters.best[pairs.left] == clusters.best[pairs.right]
        nearest = np.full(len(items), np.iinfo(np.int16).max, np.int16)
        for ends in (pairs.left, pairs.right):
            np.minimum.at(nearest, ends[inside], pairs.distance[inside])
        nearest[nearest == np.iinfo(np.int16).max] = -1
        best, distance = _alone(len(ranked)), none
        best[items], distance[items] = items[clusters.best], nearest
        of_row = same_hash[equal]
        distance[np.bincount(of_row, minlength=len(ranked)) > 1] = 0
        return best[of_row], distance[of_row]

    def _near_pairs(self, hashes: pl.Series, variants: Sequence[Variant], settings: Perceptual) -> NearPairs:
        words = hashes_from_hex(hashes)
        return remembered_pairs(self._memory, settings.variant_columns, words, variants, settings.max_distance)

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


def _is_hash(column: str) -> bool:
    return column.startswith("pdq_") and COLUMNS[column].type == pa.string()


def _variant(hashes: pl.Series, owners: Places) -> Variant:
    present = hashes.is_not_null()
    return Variant(owners[present.to_numpy()], hashes_from_hex(hashes.filter(present)))


def _alone(count: int) -> Places:
    return np.arange(count, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class _Ties:
    """What ties each rank to better ones.

    Attributes:
        same_key: (n,) int32, the best rank with the same key.
        equal: (n,) int32, the best rank of those that are connected by being equal.
        rule: (n,) int8, the number of an equality by which a rank has a better one, -1 for none.
        best: (n,) int32, the best copy.
        distance: (n,) int16, to the nearest copy, -1 where no hash was near.
    """

    same_key: Places
    equal: Places
    rule: npt.NDArray[np.int8]
    best: Places
    distance: npt.NDArray[np.int16]


def _equal_rows(
    equalities: Iterator[tuple[Equality, pl.Series]], same_key: Places
) -> tuple[Places, npt.NDArray[np.int8]]:
    """The best rank connected to each by equal values, and the number of an equality that says so.

    Args:
        equalities: What is equal, and the value of every rank: null of a repeated row, which has the values of the row
            that it repeats.
        same_key: As of `_Ties`.
    """
    count = len(same_key)
    alone, rule = _alone(count), np.full(count, -1, np.int8)
    numbers, firsts = [], []
    for equality, values in equalities:
        numbers.append(list(_EQUALITIES).index(equality))
        firsts.append(first_of_equals(values))
    tied = [np.flatnonzero(first != alone) for first in firsts]
    # Where a chain leads to a better row, the first equality by which there is any other; else, by which it is better.
    for number, first, rows in reversed(list(zip(numbers, firsts, tied, strict=True))):
        rule[first[rows]] = number
    for number, rows in reversed(list(zip(numbers, tied, strict=True))):
        rule[rows] = number
    if not firsts:
        return same_key, rule
    if len(firsts) == 1:
        return firsts[0][same_key], rule
    left = np.concatenate([alone[:0], *(first[rows] for first, rows in zip(firsts, tied, strict=True))])
    right = np.concatenate([alone[:0], *(alone[rows] for rows in tied)])
    return cluster(count, left, right, max(count, 1)).best[same_key], rule


def _verdicts(held: pl.DataFrame, order: pl.Series, ties: _Ties, bound: int) -> pl.LazyFrame:
    """The verdict of every row: all but the best of a group are copies, and each names the strongest tie."""
    alone = _alone(len(order))
    row = held["row"].gather(order)
    gone = ties.best != alone
    rules = [*(rule for _, rule, _ in _EQUALITIES.values()), "repeated_row", "perceptual"]
    number = np.where(ties.equal != alone, ties.rule, np.int8(rules.index("perceptual")))
    number[ties.same_key != alone] = rules.index("repeated_row")
    of_group = pl.Series(np.bincount(ties.best, minlength=len(alone))[ties.best] > 1)
    first_row = np.full(len(alone), np.iinfo(np.int64).max)
    np.minimum.at(first_row, ties.best, row.to_numpy())
    judged = pl.LazyFrame(
        {
            "row": row,
            "number": pl.Series(number).set(pl.Series(~gone), None),
            "key": held["key"].gather(order.gather(pl.Series(ties.best).set(pl.Series(~gone), None))),
            "distance": pl.Series(np.maximum(ties.distance, 0)).set(~of_group, None),
            "group": pl.Series(first_row[ties.best]).set(~of_group, None),
        }
    )
    # Texts are made of numbers as the verdicts are written.
    details = {rule: equal for _, rule, equal in _EQUALITIES.values()}
    details["repeated_row"] = "equal source, url and caption"
    named = {number: rule for number, rule in enumerate(rules)}
    reason = pl.col("number").replace_strict(named, default=None, return_dtype=pl.String)
    return judged.select(
        "row",
        reason=reason,
        detail=pl.when(reason == "perceptual")
        .then(pl.format("pdq distance {} <= {}", "distance", pl.lit(bound)))
        .otherwise(reason.replace_strict(details, default=None, return_dtype=pl.String)),
        duplicate_of=pl.col("key").map_batches(digits_of, pl.String, is_elementwise=True),
        duplicate_distance="distance",
        duplicate_group="group",
    )
