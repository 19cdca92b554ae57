"""`decontaminate`: rejects the pictures of evaluation sets, and their near-copies."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, field_validator, model_validator

from curation.contracts.config import Config, StepConfig, Tuning
from curation.contracts.exchange import Exchange, ExchangeSpec
from curation.devices import Device, pick_device
from curation.errors import RecipeError
from curation.evaluation_sets.described import Describe, DescribedSet, describe_images, read_tables, table_columns
from curation.evaluation_sets.files import Kind, SetFiles, find_set
from curation.images.delivery import DeliverySettings
from curation.images.encode import TargetFormat
from curation.images.resize import Side
from curation.models.copy_descriptor import SIDE_PX, CopyDescriptor, check_model
from curation.similarity.cross_pairs import cross_pairs
from curation.similarity.hashes import hashes_from_hex
from curation.similarity.near_pairs import MAX_DISTANCE
from curation.similarity.nearest_vectors import nearest_vectors
from curation.similarity.whole_vectors import Whole, unit_vectors, vector_batches, whole_vectors
from curation.storage.column_scan import collect_columns
from schemas.columns import COLUMNS

logger = logging.getLogger(__name__)

_FAR = np.iinfo(np.int16).max
_SEMANTIC = ("image_embedding", "text_embedding")


class EvaluationSet(Config):
    """A set that must stay unseen.

    Attributes:
        name: Under which the ledger and the funnel show it.
        path: A folder of images, WebDataset shards, or Parquet tables with any of the columns `sha256`, `pdq` (with
            `pdq_quality` or without; where that is null, too) and that of the descriptor, such as the ledger of a run
            over the set. A file, a folder or a glob, any fsspec URL.
        format: What is there; auto tells it by the endings of the files.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    path: str = Field(min_length=1)
    format: Kind | Literal["auto"] = "auto"


class PdqMatch(Config):
    """Near-copies by PDQ hash.

    Attributes:
        max_distance: Bits of 256 in which the hashes of near-copies differ at most.
        min_quality: Pictures of a lower PDQ quality have too little detail to be compared.
    """

    max_distance: int = Field(31, ge=0, le=MAX_DISTANCE)
    min_quality: int = Field(50, ge=0, le=100)


class DescriptorMatch(Config):
    """Near-copies by the vectors of a copy detector.

    Attributes:
        column: Of the rows, as `describe_copies` makes it, and of tables of evaluation sets.
        min_cosine: From here on two pictures are copies. 0.604 is CommonPool's, for its own detector: precision 0.9 at
            recall 0.8.
        model: The TorchScript file that described the rows; needed for sets that are given as images.
        side_px: Width and height of the model's input, as in `describe_copies`.
        device: Where the model describes evaluation images.
    """

    column: str = "copy_descriptor"
    min_cosine: float = Field(0.604, ge=-1.0, le=1.0)
    model: str | None = None
    side_px: int = Field(SIDE_PX, ge=1, le=4096)
    device: Tuning[Device] = "auto"

    @field_validator("column")
    @classmethod
    def _is_no_clip(cls, column: str) -> str:
        if column in _SEMANTIC:
            raise ValueError(
                f"{column} is of CLIP, which tells what a picture is about, not whether it is a copy: at a precision "
                "of 0.9 it finds 2 % of the copies, a copy detector 80 %; make the column by describe_copies"
            )
        return column


class DeliveredAs(Config):
    """How `decode_images` brings images to their size: evaluation images go the same way before they are hashed.

    Attributes:
        side_px, resize, upscale, format, quality: As in `decode_images`.
    """

    side_px: int | None = Field(256, ge=1, le=16_384)
    resize: Side = "shortest"
    upscale: bool = False
    format: TargetFormat = "jpg"
    quality: int = Field(95, ge=1, le=100)


class DecontaminateConfig(StepConfig):
    """The evaluation sets, and by what their pictures are recognised.

    Attributes:
        sets: In the order in which rows are held against them.
        sha256: The file itself.
        pdq: Null looks for no near-copies by hash.
        descriptor: Null looks for no near-copies by a copy detector.
        delivered_as: What `decode_images` is told in the same recipe; a difference is refused before the start.
        processes: Evaluation images decoded at a time.
    """

    kind: Literal["decontaminate"] = "decontaminate"
    sets: tuple[EvaluationSet, ...] = Field(min_length=1)
    sha256: bool = True
    pdq: PdqMatch | None = PdqMatch()
    descriptor: DescriptorMatch | None = None
    delivered_as: DeliveredAs = DeliveredAs()
    processes: Tuning[int] = Field(1, ge=1, le=64)

    @model_validator(mode="after")
    def _says_something(self) -> DecontaminateConfig:
        names = [one.name for one in self.sets]
        if len(set(names)) < len(names):
            raise ValueError(f"two sets are called {max(names, key=names.count)!r}: give one of them another name")
        if not (self.sha256 or self.pdq or self.descriptor):
            raise ValueError("nothing to recognise pictures by: switch on sha256, pdq or descriptor")
        return self


@dataclass
class _Found:
    """What a set has to do with each row, by the row's place; -1, far and NaN where there is nothing.

    Attributes:
        by_sha256, by_pdq, by_descriptor: (n,) int32, the item of the set, where it counts as a hit.
    """

    described: DescribedSet
    by_sha256: npt.NDArray[np.int32]
    by_pdq: npt.NDArray[np.int32]
    by_descriptor: npt.NDArray[np.int32]
    distance: npt.NDArray[np.int16]
    cosine: npt.NDArray[np.float32]
    rules: tuple[str, ...] = field(default=("sha256", "pdq", "descriptor"))

    @classmethod
    def nothing(cls, described: DescribedSet, rows: int) -> _Found:
        none = [np.full(rows, -1, np.int32) for _ in range(3)]
        return cls(described, *none, np.full(rows, _FAR, np.int16), np.full(rows, -np.inf, np.float32))

    def hits(self, rule: str) -> npt.NDArray[np.bool_]:
        """(n,) bool: the rows that a rule of the set finds."""
        return np.asarray(getattr(self, f"by_{rule}") >= 0)

    def any(self) -> npt.NDArray[np.bool_]:
        """(n,) bool: the rows that any rule finds."""
        return self.hits("sha256") | self.hits("pdq") | self.hits("descriptor")


class Decontaminate(Exchange):
    """Rejects every row whose picture is in an evaluation set, as a copy or a near-copy.

    The rule is named after the set and what it was recognised by, such as `imagenet_val_pdq`. A row is rejected by the
    first set that has it; all that have it are named in `decontaminated_by`.

    Source: Gadre et al., "DataComp: In search of the next generation of multimodal datasets" (2023), appendix on
        decontamination, for the threshold of copy descriptors; PDQ and SHA-256 are added.
    """

    Config = DecontaminateConfig
    config: DecontaminateConfig

    @property
    def spec(self) -> ExchangeSpec:
        """Reads what its rules compare."""
        columns = [
            *(["sha256"] if self.config.sha256 else []),
            *(["pdq", "pdq_quality"] if self.config.pdq else []),
            *([self.config.descriptor.column] if self.config.descriptor else []),
        ]
        adds = ("decontaminated_by", "decontaminated_distance", "decontaminated_cosine")
        return ExchangeSpec("decontaminate", 2, tuple(columns), adds)

    def check(self) -> None:
        """Whether every set is there and can be compared by at least one rule."""
        descriptor = self.config.descriptor
        if descriptor is not None and descriptor.column in COLUMNS and not COLUMNS[descriptor.column].is_vector:
            meaning = COLUMNS[descriptor.column].meaning
            raise RecipeError(f"descriptor.column: {descriptor.column} holds no vectors ({meaning})")
        if descriptor is not None and descriptor.model is not None:
            check_model(descriptor.model)
        for place, one in enumerate(self.config.sets):
            where = f"{self.config.step_name}.sets.{place} ({one.name})"
            try:
                files = find_set(one.path, one.format)
                files.check_shards()
                there = table_columns(files) if files.kind == "tables" else None
            except RecipeError as error:
                raise RecipeError(f"{where}: {error}") from error
            if there is not None and not there & set(self._compared()):
                wanted = ", ".join(self._compared())
                raise RecipeError(
                    f"{where}: {one.path} has none of the columns {wanted}, but {', '.join(sorted(there))}"
                )
            if there is None and descriptor is not None and descriptor.model is None:
                raise RecipeError(
                    f"{where}: is given as images, which only the copy detector can describe: state "
                    f"`descriptor.model`, or give a table with the column {descriptor.column}"
                )

    def check_behind(self, earlier: Sequence[StepConfig]) -> None:
        """Whether evaluation images go the way that the images of the rows go."""
        made = {config.kind: config for config in earlier}
        pairs = [("delivered_as", self.config.delivered_as, made.get("decode_images"), tuple(DeliveredAs.model_fields))]
        descriptor = self.config.descriptor
        if descriptor is not None and descriptor.model is not None and descriptor.column == "copy_descriptor":
            pairs.append(("descriptor", descriptor, made.get("describe_copies"), ("model", "side_px")))
        for place, own, of_rows, names in pairs:
            for name in names if of_rows is not None else ():
                wanted = getattr(of_rows, name)
                if getattr(own, name) != wanted and self._has_images():
                    raise RecipeError(
                        f"{place}.{name} is {getattr(own, name)}, but {of_rows.step_name} has {wanted}: evaluation "
                        f"images must go the same way; state `{place}: {{{name}: {wanted}}}`"
                    )

    def _has_images(self) -> bool:
        """Whether any set is given as images, not as what is known of them."""
        try:
            return any(find_set(one.path, one.format).kind != "tables" for one in self.config.sets)
        except RecipeError:
            # `check` tells of it.
            return False

    def _compared(self) -> tuple[str, ...]:
        return tuple(name for name in self.spec.requires if name != "pdq_quality")

    def content_digest(self) -> str:
        """Of the files of all sets, and of the model."""
        digests = [find_set(one.path, one.format).digest for one in self.config.sets]
        if self.config.descriptor is not None and self.config.descriptor.model is not None:
            check_model(self.config.descriptor.model)
            digests.append(sha256(Path(self.config.descriptor.model).read_bytes()).hexdigest())
        return "-".join(digest[:16] for digest in digests)

    def decide(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Describes the sets and holds every row against each."""
        scalars = [name for name in self.spec.requires if not self._is_descriptor(name)]
        rows = collect_columns(frame.select("row", *scalars).sort("row"))
        found = [_Found.nothing(described, len(rows)) for described in self._described()]
        if self.config.sha256:
            for one in found:
                one.by_sha256 = _equal(rows["sha256"], one.described.sha256)
        if self.config.pdq is not None:
            self._compare_hashes(rows, found, self.config.pdq)
        if self.config.descriptor is not None:
            self._compare_vectors(rows["row"].to_numpy(), frame, found, self.config.descriptor)
        for evaluation_set, one in zip(self.config.sets, found, strict=True):
            counts = ", ".join(f"{int(one.hits(rule).sum())} by {rule}" for rule in one.rules)
            logger.info(
                "%s: %s: %d images, found in %d rows (%s)",
                *(self.config.step_name, evaluation_set.name, len(one.described.items), int(one.any().sum()), counts),
            )
        return self._verdicts(rows["row"], found)

    def _is_descriptor(self, name: str) -> bool:
        return self.config.descriptor is not None and name == self.config.descriptor.column

    def _described(self) -> list[DescribedSet]:
        descriptor = self.config.descriptor
        min_quality = self.config.pdq.min_quality if self.config.pdq else 0
        describe: Describe | None = None
        described = []
        for one in self.config.sets:
            files: SetFiles = find_set(one.path, one.format)
            if files.kind == "tables":
                described.append(read_tables(files, descriptor.column if descriptor else None, min_quality))
                continue
            if describe is None and descriptor is not None and descriptor.model is not None:
                model = CopyDescriptor(descriptor.model, descriptor.side_px, 16, pick_device(descriptor.device))
                describe = model.describe
            delivery = DeliverySettings(**self.config.delivered_as.model_dump())
            described.append(describe_images(files, delivery, self.config.processes, min_quality, describe))
        return described

    def _compare_hashes(self, rows: pl.DataFrame, found: list[_Found], rule: PdqMatch) -> None:
        telling = rows.select(pl.when(pl.col("pdq_quality") >= rule.min_quality).then("pdq")).to_series()
        known = telling.is_not_null().arg_true().to_numpy()
        own = telling.drop_nulls().unique().sort()
        place = own.search_sorted(telling.gather(known)).to_numpy()
        for one in found:
            theirs = one.described.pdq.drop_nulls().unique().sort()
            pairs = cross_pairs(hashes_from_hex(own), hashes_from_hex(theirs), rule.max_distance)
            first_item = _equal(theirs, one.described.pdq)[pairs.right]
            order = np.lexsort((first_item, pairs.distance, pairs.left))
            hashes, firsts = np.unique(pairs.left[order], return_index=True)
            distance = np.full(len(own), _FAR, np.int16)
            item = np.full(len(own), -1, np.int32)
            distance[hashes], item[hashes] = pairs.distance[order][firsts], first_item[order][firsts]
            one.distance[known], one.by_pdq[known] = distance[place], item[place]

    def _compare_vectors(
        self, rows: npt.NDArray[np.int64], frame: pl.LazyFrame, found: list[_Found], rule: DescriptorMatch
    ) -> None:
        sets = [_vectors_of(one.described) for one in found]
        for batch in vector_batches(frame, rule.column):
            places = np.searchsorted(rows, batch.rows)
            for one, (items, vectors) in zip(found, sets, strict=True):
                if not len(items):
                    continue
                if vectors.shape[1] != batch.vectors.shape[1]:
                    raise RecipeError(
                        f"{self.config.step_name}: the rows have descriptors of {batch.vectors.shape[1]} dimensions, "
                        f"an evaluation set has them of {vectors.shape[1]}; describe both by one model"
                    )
                cosine, nearest = nearest_vectors(batch.vectors, vectors)
                one.cosine[places] = cosine
                hit = cosine.astype(np.float64) >= rule.min_cosine
                one.by_descriptor[places[hit]] = items[nearest[hit]]

    def _verdicts(self, rows: pl.Series, found: list[_Found]) -> pl.LazyFrame:
        reason = np.full(len(rows), None, object)
        detail = np.full(len(rows), None, object)
        for evaluation_set, one in reversed(list(zip(self.config.sets, found, strict=True))):
            for rule in reversed(one.rules):
                for place in np.flatnonzero(one.hits(rule)).tolist():
                    reason[place] = f"{evaluation_set.name}_{rule}"
                    detail[place] = self._detail(one, rule, place)
        names = [one.name for one in self.config.sets]
        having = np.stack([one.any() for one in found], axis=1)
        by = [None] * len(rows)
        for place in np.flatnonzero(having.any(axis=1)).tolist():
            by[place] = [name for name, has in zip(names, having[place], strict=True) if has]
        distance = np.min([one.distance for one in found], axis=0).astype(np.int16)
        cosine = np.max([one.cosine for one in found], axis=0)
        return pl.LazyFrame(
            {
                "row": rows,
                "reason": pl.Series(reason.tolist(), dtype=pl.String),
                "detail": pl.Series(detail.tolist(), dtype=pl.String),
                "decontaminated_by": pl.Series(by, dtype=pl.List(pl.String)),
                "distance": pl.Series(distance, dtype=pl.Int16),
                "cosine": pl.Series(cosine, dtype=pl.Float32),
            }
        ).select(
            "row",
            "reason",
            "detail",
            "decontaminated_by",
            decontaminated_distance=pl.when(pl.col("distance") < _FAR).then("distance"),
            decontaminated_cosine=pl.when(pl.col("cosine").is_finite()).then("cosine"),
        )

    def _detail(self, one: _Found, rule: str, place: int) -> str:
        item = one.described.items[getattr(one, f"by_{rule}")[place]]
        if rule == "sha256":
            return f"equal sha256: {item}"
        if rule == "pdq" and self.config.pdq is not None:
            return f"pdq distance {one.distance[place]} <= {self.config.pdq.max_distance}: {item}"
        bound = self.config.descriptor.min_cosine if self.config.descriptor else None
        return f"cosine {one.cosine[place]:.4f} >= {bound}: {item}"


def _equal(values: pl.Series, items: pl.Series) -> npt.NDArray[np.int32]:
    """(n,) int32: the first of the items that each value equals, -1 for none, and for null."""
    first = pl.DataFrame({"value": items, "item": np.arange(len(items), dtype=np.int32)}).drop_nulls()
    first = first.group_by("value").agg(pl.col("item").min())
    joined = pl.DataFrame({"value": values}).join(first, on="value", how="left", maintain_order="left")
    return joined["item"].fill_null(-1).cast(pl.Int32).to_numpy().copy()


def _vectors_of(described: DescribedSet) -> tuple[npt.NDArray[np.int32], Whole]:
    """The items of a set that have a vector, and their vectors."""
    there = described.vectors.is_not_null().arg_true().to_numpy().astype(np.int32)
    if not len(there):
        return there, np.zeros((0, 0), np.int16)
    values = np.stack(described.vectors.drop_nulls().to_list()).astype(np.float32)
    units, usable = unit_vectors(values)
    return there[usable], whole_vectors(units[usable])
