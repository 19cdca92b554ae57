"""The manifest of a delivery: what was delivered, and how anyone can check that it arrived whole."""

from __future__ import annotations

from typing import Literal

from schemas.records import FileRecord, Record

MANIFEST_PATH = "manifest.json"
"""Where the manifest lies, in the folder of the delivery."""

TextChoice = Literal["alt", "synthetic", "prefer_synthetic", "mixed"]
SyntheticPick = Literal["first", "best_score"]


class TextRule(Record):
    """Which of its texts a sample was delivered with, as its `.txt`.

    Attributes:
        choice: `alt`: the alt-text. `synthetic`: a synthetic caption. `prefer_synthetic`: a synthetic caption, the
            alt-text where there is none. `mixed`: as `prefer_synthetic` for a share of the samples, alt-text for the
            others, and each takes the other kind where its own is missing.
        pick: Which of several synthetic captions: the first one, or the one of the best score (of equals, the first).
        synthetic_share: With `mixed`, the share of the samples that take a synthetic caption, drawn by key and seed.
        seed: Of the draw.
    """

    choice: TextChoice
    pick: SyntheticPick
    synthetic_share: float
    seed: int


class ColumnRecord(Record):
    """A column of the Parquet files. The tars' JSON has the same ones, those of embeddings apart.

    Attributes:
        type: The Arrow type, as Arrow writes it.
        unit: None where the values have none.
        meaning: None for a column that the source carried along.
    """

    name: str
    type: str
    unit: str | None = None
    meaning: str | None = None


class ShardRecord(Record):
    """One shard: the same rows in the same order in a WebDataset tar and in a Parquet file."""

    shard: int
    rows: int
    tar: FileRecord
    parquet: FileRecord


class DeliveryManifest(Record):
    """All of a delivery. Paths are relative to the folder of the manifest, so the folder can be moved or copied.

    Attributes:
        version: The version of this document and of the layout of the shards.
        rows: Samples in all shards.
        shard_rows: Samples of every shard but the last.
        left_out: Columns that the recipe kept from the delivery.
        files: What lies beside the shards.
    """

    version: Literal[1] = 1
    rows: int
    shard_rows: int
    text: TextRule
    columns: tuple[ColumnRecord, ...]
    left_out: tuple[str, ...]
    shards: tuple[ShardRecord, ...]
    files: tuple[FileRecord, ...]
