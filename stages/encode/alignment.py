"""The stage `score_alignment`: how well the text fits the image, by a CLIP model, and both embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from curation.contracts.config import StepConfig, Tuning
from curation.contracts.marks import Mark, failed, rejected, with_marks
from curation.contracts.resources import Resources
from curation.contracts.stage import Stage, StageSpec
from curation.devices import Device, pick_device, stated_gpus, use_cpus
from curation.images.delivered import UnreadableImageError, open_delivered
from curation.models.clip import LoadedClip, Precision, load_clip
from curation.models.references import check_reference
from schemas.columns import COLUMNS
from schemas.outcomes import FailureReason
from stages.encode.dual_encoder import DualEncoder, Vectors

if TYPE_CHECKING:
    import torch


class ScoreAlignmentConfig(StepConfig):
    """Settings of `score_alignment`."""

    kind: Literal["score_alignment"] = "score_alignment"
    model: str = Field(
        description="`ARCHITECTURE/TAG` of open_clip such as `ViT-L-14/datacomp_xl_s13b_b90k`, "
        "`hf-hub:organisation/name`, `local-dir:/path`, or `embedded:clip`, which knows drawn scenes alone."
    )
    text_column: Literal["text", "caption"] = Field("text", description="The text that is held against the image.")
    precision: Precision = Field("fp32", description="Of weights and arithmetic.")
    batch_size: Tuning[int] = Field(64, ge=1, description="Rows that go through the model at once.")
    device: Tuning[Device] = Field("auto", description="auto: the GPU that the worker has, if it has one.")
    cpus: Tuning[float] = Field(1.0, gt=0, description="Processors of one worker: torch's threads, and decoding.")
    gpus: Tuning[float | None] = Field(None, ge=0, description="GPUs of one worker; null: 1 with `device: cuda`.")


class ScoreAlignment(Stage):
    """Adds the cosine of image and text embedding (not scaled, not clipped at 0) and both embeddings.

    The score is taken before the embeddings are rounded to float16. An empty text is scored like any other; a row
    without text is rejected (`missing_text`), one whose image cannot be decoded or whose score is not finite fails.
    """

    Config = ScoreAlignmentConfig
    config: ScoreAlignmentConfig

    def __init__(self, config: StepConfig) -> None:
        super().__init__(config)
        self._clip: LoadedClip | None = None
        self._encoder: DualEncoder | None = None
        self._threads: ThreadPoolExecutor | None = None

    @property
    def spec(self) -> StageSpec:
        """One worker holds one copy of the model."""
        config = self.config
        return StageSpec(
            kind="score_alignment",
            version=2,
            requires=("image", config.text_column),
            adds=("clip_score", "clip_model", "image_embedding", "text_embedding"),
            resources=Resources(cpus=config.cpus, gpus=stated_gpus(config.device, config.gpus)),
        )

    def check(self) -> None:
        """Whether there is such a model, as far as can be told without loading it."""
        check_reference(self.config.model, "clip")

    def setup(self) -> None:
        """Loads the model."""
        config = self.config
        threads = use_cpus(config.cpus)
        self._clip = load_clip(config.model, pick_device(config.device), config.precision)
        self._encoder = DualEncoder(self._clip, config.batch_size)
        self._threads = ThreadPoolExecutor(threads, "decode")

    def close(self) -> None:
        """Lets go of the model."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        self._clip = self._encoder = self._threads = None

    def process(self, table: pa.Table) -> pa.Table:
        """Encodes the rows that have a text and an image, in batches."""
        marks: list[Mark | None] = [None] * table.num_rows
        texts = table[self.config.text_column].to_pylist()
        for place, text in enumerate(texts):
            if text is None:
                marks[place] = rejected("missing_text")
        results = _Results(table.num_rows)
        places = [place for place, mark in enumerate(marks) if mark is None]
        for batch, pixels in self._decoded(table["image"], places, marks):
            assert self._encoder is not None, "setup() was not called"
            images = self._encoder.encode_images(pixels)
            captions = self._encoder.encode_texts([texts[place] for place in batch])
            for place in results.put(batch, images, captions):
                marks[place] = failed(FailureReason.NON_FINITE_SCORE, "an embedding is not finite")
        for name, column in results.columns(self.config.model).items():
            table = table.append_column(COLUMNS[name].field, column)
        return with_marks(table, marks) if any(marks) else table

    def _decoded(
        self, images: pa.ChunkedArray, places: Sequence[int], marks: list[Mark | None]
    ) -> Iterator[tuple[list[int], list[torch.Tensor]]]:
        """Batches of preprocessed images; one batch is decoded ahead of the model. Marks the images that are broken."""
        size = self.config.batch_size
        starts = range(0, len(places), size)
        ahead: list[tuple[int, Future[Any]]] = []
        for start in [*starts, None]:
            current, ahead = ahead, self._submit(images, places[start : start + size] if start is not None else ())
            batch, pixels = [], []
            for place, future in current:
                try:
                    pixels.append(future.result())
                    batch.append(place)
                except UnreadableImageError as error:
                    marks[place] = failed(FailureReason.CORRUPT_IMAGE, str(error))
            if batch:
                yield batch, pixels

    def _submit(self, images: pa.ChunkedArray, places: Sequence[int]) -> list[tuple[int, Future[Any]]]:
        if not places:
            return []
        assert self._threads is not None, "setup() was not called"
        return [(place, self._threads.submit(self._preprocess, images[place].as_py())) for place in places]

    def _preprocess(self, data: bytes | None) -> torch.Tensor:
        assert self._clip is not None, "setup() was not called"
        return self._clip.preprocess(open_delivered(data))


class _Results:
    """The columns of a part while they are filled in."""

    def __init__(self, rows: int) -> None:
        self._scores = np.full(rows, np.nan, np.float32)
        self._vectors: dict[str, list[Any]] = {"image_embedding": [None] * rows, "text_embedding": [None] * rows}

    def put(self, places: Sequence[int], images: Vectors, texts: Vectors) -> list[int]:
        """Writes the results of a batch; returns the places whose score is not finite, which stay null."""
        # A product of unit vectors can end a rounding error beyond 1.
        scores = np.clip(np.einsum("nd,nd->n", images, texts), -1, 1)
        broken = []
        for place, score, image, text in zip(places, scores, images, texts, strict=True):
            if not np.isfinite(score):
                broken.append(place)
                continue
            self._scores[place] = score
            self._vectors["image_embedding"][place] = image.astype(np.float16)
            self._vectors["text_embedding"][place] = text.astype(np.float16)
        return broken

    def columns(self, model: str) -> dict[str, pa.Array]:
        """The four columns, null where nothing was measured."""
        missing = np.isnan(self._scores)
        models = pa.array([None if gone else model for gone in missing], pa.string())
        vectors = {name: pa.array(values, COLUMNS[name].type) for name, values in self._vectors.items()}
        return {"clip_score": pa.array(self._scores, mask=missing), "clip_model": models, **vectors}
