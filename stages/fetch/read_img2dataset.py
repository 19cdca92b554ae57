"""Stage `read_img2dataset`: the images that img2dataset downloaded, as if they had just been fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from curation.contracts.config import StepConfig, Tuning
from curation.contracts.marks import with_marks
from curation.contracts.resources import Resources
from curation.contracts.shared import SharedLink, SharedSpec
from curation.contracts.stage import StageSpec, StreamingStage
from curation.references.stored import parse_stored_bytes
from schemas.columns import schema_of
from stages.fetch.images import FetchImages, FetchImagesConfig
from stages.fetch.img2dataset_errors import mark_of_row
from stages.fetch.record import ADDS, PartRecord
from stages.fetch.stored_bodies import StoredBodies, StoredReading


class ReadImg2datasetConfig(StepConfig):
    """Settings of `read_img2dataset`.

    Attributes:
        refetch: The settings of a `fetch_images` that fetches what img2dataset could not. Null: such rows
            fail for the reason that img2dataset noted, or are rejected by the bound of its that they broke.
        max_body_bytes: Cap of a body.
        tries: Requests to the store for the same bytes, in all.
        backoff_s: Wait before the second try; it doubles with each further one.
        timeout_s: Longest wait for one request to the store.
        threads: Requests to the store at a time.
        storage_options: For fsspec, as those of the source.
    """

    kind: Literal["read_img2dataset"] = "read_img2dataset"
    refetch: FetchImagesConfig | None = None
    max_body_bytes: int = Field(50_000_000, ge=1)
    tries: int = Field(3, ge=1, le=20)
    backoff_s: float = Field(0.5, ge=0)
    timeout_s: float = Field(120.0, gt=0)
    threads: Tuning[int] = Field(4, ge=1, le=64)
    storage_options: Tuning[dict[str, Any]] = Field({})


class ReadImg2dataset(StreamingStage):
    """Reads what the source `img2dataset_output` says it has; goes through each shard from front to back."""

    Config = ReadImg2datasetConfig

    def __init__(self, config: ReadImg2datasetConfig) -> None:
        super().__init__(config)
        self._settings = config
        self._fetcher = None if config.refetch is None else FetchImages(config.refetch)
        self._bodies: StoredBodies | None = None

    @property
    def spec(self) -> StageSpec:
        """What the stage needs and makes."""
        return StageSpec(
            kind="read_img2dataset",
            version=1,
            requires=("url", "reference", "reference_error", *self._verified()),
            adds=ADDS,
            resources=Resources(cpus=1.0),
            rowwise=True,
        )

    def check(self) -> None:
        """Checks the settings of `refetch`."""
        if self._fetcher is not None:
            self._fetcher.check()

    def check_source(self, columns: pa.Schema) -> None:
        """Looks whether `refetch` can read what it is to verify against."""
        if self._fetcher is not None:
            self._fetcher.check_source(columns)

    @property
    def shared(self) -> SharedSpec | None:
        """What the workers of `refetch` share."""
        return None if self._fetcher is None else self._fetcher.shared

    def connect(self, link: SharedLink) -> None:
        """Hands the way on."""
        if self._fetcher is not None:
            self._fetcher.connect(link)

    def setup(self) -> None:
        """Starts the threads that read."""
        config = self._settings
        reading = StoredReading(
            config.max_body_bytes, config.tries, config.backoff_s, config.timeout_s, config.storage_options
        )
        self._bodies = StoredBodies(reading, config.threads)
        if self._fetcher is not None:
            self._fetcher.setup()

    def close(self) -> None:
        """Ends the threads."""
        if self._bodies is not None:
            self._bodies.close()
            self._bodies = None
        if self._fetcher is not None:
            self._fetcher.close()

    def stream(self, table: pa.Table) -> Iterator[pa.Table]:
        """Yields the rows as their bodies are read; those without one first."""
        if self._bodies is None:
            raise RuntimeError("setup() has not been called")
        stored = np.array(table["reference"].is_valid(), dtype=bool)
        yield from self._without_body(table.filter(pa.array(~stored)))
        rows = table.filter(pa.array(stored))
        record = PartRecord(rows, {}, wanted=range(rows.num_rows))
        wanted = [(place, parse_stored_bytes(text)) for place, text in enumerate(rows["reference"].to_pylist())]
        for chunk in self._bodies.read(wanted):
            yield record.rows(chunk)

    def _without_body(self, rows: pa.Table) -> Iterator[pa.Table]:
        if self._fetcher is not None and rows.num_rows:
            yield from self._fetcher.stream(rows)
            return
        told = [(text or "").partition(": ") for text in rows["reference_error"].to_pylist()]
        marks = [mark_of_row(status or None, message or None) for status, _, message in told]
        for field in schema_of(*ADDS):
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
        yield with_marks(rows, marks)

    def _verified(self) -> tuple[str, ...]:
        if self._fetcher is None:
            return ()
        return tuple(name for name in self._fetcher.spec.requires if name != "url")
