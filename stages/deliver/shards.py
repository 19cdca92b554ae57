"""The sink `write_shards`: the survivors as exactly sized WebDataset tars with a Parquet file beside each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from curation.contracts.config import StepConfig
from curation.contracts.sink import Sink, SinkSpec
from curation.errors import RecipeError
from curation.recipe.mistakes import did_you_mean
from curation.storage.hashing import HashingWriter
from curation.storage.store import Store
from schemas.columns import COLUMNS
from schemas.manifest import (
    MANIFEST_PATH,
    ColumnRecord,
    DeliveryManifest,
    ShardRecord,
    SyntheticPick,
    TextChoice,
    TextRule,
)
from schemas.records import FileRecord
from stages.deliver.placing import place_rows
from stages.deliver.samples import ordered_columns, sample_members, write_tar
from stages.deliver.texts import chosen_texts

SIZES_PATH = "sizes.json"
"""Samples of each tar by its name, where open_clip's loader looks for them."""

_NEVER_LEFT_OUT = ("key", "image", "image_format")
_ROW_GROUP_ROWS = 4096


class WriteShardsConfig(StepConfig):
    """Settings of `write_shards`."""

    kind: Literal["write_shards"] = "write_shards"
    shard_rows: int = Field(10_000, ge=1, description="Samples of every shard but the last.")
    seed: int = Field(0, ge=0, lt=2**63, description="Of the shuffle, and of the draw of `caption: mixed`.")
    shuffle_window_rows: int | None = Field(
        50_000,
        ge=1,
        description="Shuffle within windows of so many source rows, and the windows among each other, so that a shard "
        "is gathered from few parts; null shuffles all rows at once, for which each shard reads the whole pool.",
    )
    caption: TextChoice = Field(
        "alt",
        description="What goes into `.txt`: alt-text, a synthetic caption (empty without one), synthetic with alt-text "
        "where there is none, or a mixture of both.",
    )
    synthetic_pick: SyntheticPick = Field("first", description="Which of several synthetic captions.")
    synthetic_share: float = Field(0.5, ge=0, le=1, description="Share of synthetic captions with `caption: mixed`.")
    leave_out: tuple[str, ...] = Field((), description="Columns that are not delivered, such as embeddings or URLs.")

    @model_validator(mode="after")
    def _settings_fit_together(self) -> WriteShardsConfig:
        for name in self.leave_out:
            if name in _NEVER_LEFT_OUT:
                raise ValueError(f"leave_out: no shard can do without `{name}`")
        # Not whether they are set: the recipe that is saved with a run spells out every default.
        changed = {name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}
        for name in ("synthetic_pick", "synthetic_share"):
            if self.caption == "alt" and name in changed:
                raise ValueError(f"{name} has no effect with `caption: alt`; remove it, or choose another `caption`")
        if self.caption != "mixed" and "synthetic_share" in changed:
            raise ValueError("synthetic_share has an effect with `caption: mixed` alone; remove it")
        return self

    @property
    def text_rule(self) -> TextRule:
        """Which text a sample gets."""
        return TextRule(
            choice=self.caption, pick=self.synthetic_pick, synthetic_share=self.synthetic_share, seed=self.seed
        )


class WriteShards(Sink):
    """Writes `NNNNNN.tar` and `NNNNNN.parquet` for every shard, then `sizes.json` and `manifest.json`.

    A tar holds, for every sample, `<key>.jpg|png|webp`, `<key>.txt` and `<key>.json` (every scalar and the synthetic
    captions). The Parquet file holds the same rows in the same order: every scalar, the captions and the embeddings,
    without the image. A sample without text has an empty `.txt`.
    """

    Config = WriteShardsConfig
    config: WriteShardsConfig

    @property
    def spec(self) -> SinkSpec:
        """It asks for captions where the text may be a synthetic one."""
        captions = () if self.config.caption == "alt" else ("captions",)
        return SinkSpec(
            kind="write_shards",
            version=1,
            requires=("image", "image_format", *captions),
            adds=("shard", "shard_position"),
        )

    def assign(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Drops repeated keys, then shuffles and cuts: see `place_rows`."""
        config = self.config
        return place_rows(frame, config.shard_rows, config.seed, config.shuffle_window_rows)

    def write(self, unit: int, table: pa.Table, store: Store) -> list[FileRecord]:
        """Writes one shard: the tar, then the Parquet file.

        Raises:
            RecipeError: `leave_out` names a column that there is not.
            CorruptionError: A key or an image is not what the engine makes.
        """
        texts = chosen_texts(table, self.config.text_rule)
        # One after the other, not all at once: the images are most of a shard.
        images = (image.as_py() for image in table["image"])
        described = self._described(table)
        return [
            _write_tar(f"{unit:06d}.tar", described, images, texts, store),
            _write_parquet(f"{unit:06d}.parquet", described, store),
        ]

    def finish(self, units: list[list[FileRecord]], store: Store) -> list[FileRecord]:
        """Writes `sizes.json`, which spares users of open_clip the count, and the manifest."""
        shards = tuple(
            ShardRecord(shard=number, rows=tar.rows, tar=tar, parquet=parquet)
            for number, (tar, parquet) in enumerate(units)
        )
        sizes = json.dumps({shard.tar.path: shard.rows for shard in shards}, indent=1).encode() + b"\n"
        rows = sum(shard.rows for shard in shards)
        sizes_record = _write_bytes(SIZES_PATH, rows, sizes, store)
        manifest = DeliveryManifest(
            rows=rows,
            shard_rows=self.config.shard_rows,
            text=self.config.text_rule,
            columns=_columns_of(shards[0].parquet.path, store) if shards else (),
            left_out=self.config.leave_out,
            shards=shards,
            files=(sizes_record,),
        )
        return [sizes_record, _write_bytes(MANIFEST_PATH, rows, manifest.to_bytes(), store)]

    def _described(self, table: pa.Table) -> pa.Table:
        """All that is said of the images, in the columns' order and in their registered types."""
        names = table.column_names
        for name in self.config.leave_out:
            if name not in names:
                raise RecipeError(
                    f"{self.config.step_name}: leave_out: no column is called {name}{did_you_mean(name, names)}"
                )
        kept = [name for name in ordered_columns(names) if name != "image" and name not in self.config.leave_out]
        fields = [COLUMNS[name].field if name in COLUMNS else table.schema.field(name) for name in kept]
        schema = pa.schema([field.remove_metadata() for field in fields])
        # One chunk, since the pages of a Parquet file follow the chunks of the table.
        return table.select(kept).replace_schema_metadata(None).cast(schema).combine_chunks()


def _write_tar(path: str, described: pa.Table, images: Iterable[bytes], texts: list[str], store: Store) -> FileRecord:
    with store.open_write(path) as file:
        hashed = HashingWriter(file)
        write_tar(hashed, sample_members(described, images, texts))
    return hashed.record(path, described.num_rows)


def _write_parquet(path: str, described: pa.Table, store: Store) -> FileRecord:
    # Dictionaries pay for texts that come again (hosts, formats, models) and never for embeddings.
    texts = [field.name for field in described.schema if pa.types.is_string(field.type)]
    with store.open_write(path) as file:
        hashed = HashingWriter(file)
        pq.write_table(
            described,
            hashed,
            compression="zstd",
            compression_level=3,
            row_group_size=_ROW_GROUP_ROWS,
            use_dictionary=texts,
            version="2.6",
        )
    return hashed.record(path, described.num_rows)


def _write_bytes(path: str, rows: int, data: bytes, store: Store) -> FileRecord:
    with store.open_write(path) as file:
        hashed = HashingWriter(file)
        hashed.write(data)
    return hashed.record(path, rows)


def _columns_of(path: str, store: Store) -> tuple[ColumnRecord, ...]:
    with store.open_read(path) as file:
        schema = pq.read_schema(file)
    columns = []
    for field in schema:
        known = COLUMNS.get(field.name)
        columns.append(
            ColumnRecord(
                name=field.name,
                type=str(field.type),
                unit=known.unit if known else None,
                meaning=known.meaning if known else None,
            )
        )
    return tuple(columns)
