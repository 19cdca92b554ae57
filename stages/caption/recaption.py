"""The stage `recaption`: synthetic captions beside the alt-text, as many as there are prompts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import pyarrow as pa
from PIL import Image
from pydantic import Field

from curation.contracts.config import StepConfig, Tuning
from curation.contracts.marks import Mark, failed, with_marks
from curation.contracts.resources import Resources
from curation.contracts.stage import Stage, StageSpec
from curation.devices import Device, pick_device, stated_gpus, use_cpus
from curation.images.delivered import UnreadableImageError, open_delivered
from curation.models.captioner import LoadedCaptioner, load_captioner
from curation.models.references import check_reference
from schemas.columns import COLUMNS
from schemas.outcomes import FailureReason
from stages.caption.faults import described_fault, fault_of, without_instruction

logger = logging.getLogger(__name__)

_IMPLAUSIBLE_SHARE = 0.5
_IMPLAUSIBLE_COUNT = 20


class RecaptionConfig(StepConfig):
    """Settings of `recaption`."""

    kind: Literal["recaption"] = "recaption"
    model: str = Field(
        description="`hf-hub:organisation/name`, `local-dir:/path`, or `embedded:captioner`, which knows drawn scenes "
        "alone."
    )
    revision: str | None = Field(None, description="Commit or tag of the hub, so that a model stays what it was.")
    prompts: tuple[str | None, ...] = Field(
        (None,), min_length=1, description="One caption for each; null: the model's own way, without a prompt."
    )
    max_new_tokens: int = Field(40, ge=1, description="Most tokens of a caption.")
    num_beams: int = Field(1, ge=1, description="Beams of the search; 1 is greedy.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="Of weights and arithmetic; auto: as the model was saved, fp32 on a CPU."
    )
    batch_size: Tuning[int] = Field(16, ge=1, description="Images that go through the model at once.")
    device: Tuning[Device] = Field("auto", description="auto: the GPU that the worker has, if it has one.")
    cpus: Tuning[float] = Field(1.0, gt=0, description="Processors of one worker: torch's threads, and decoding.")
    gpus: Tuning[float | None] = Field(None, ge=0, description="GPUs of one worker; null: 1 with `device: cuda`.")


class Recaption(Stage):
    """Adds `captions`: one entry for each prompt, with its model, prompt and score. The alt-text stays as it is.

    A synthetic caption is an addition, so a row lives on without one: what is empty, a refusal, an echo of the prompt
    or no language is left out of the list, and `caption_fault` says what was left out and why. A row whose image cannot
    be decoded fails.
    """

    Config = RecaptionConfig
    config: RecaptionConfig

    def __init__(self, config: StepConfig) -> None:
        super().__init__(config)
        self._captioner: LoadedCaptioner | None = None
        self._threads: ThreadPoolExecutor | None = None

    @property
    def spec(self) -> StageSpec:
        """One worker holds one copy of the model."""
        config = self.config
        return StageSpec(
            kind="recaption",
            version=1,
            requires=("image",),
            adds=("captions", "caption_fault"),
            resources=Resources(cpus=config.cpus, gpus=stated_gpus(config.device, config.gpus)),
        )

    def check(self) -> None:
        """Whether there is such a model, as far as can be told without loading it."""
        check_reference(self.config.model, "captioner")

    def setup(self) -> None:
        """Loads the model."""
        import torch

        config = self.config
        threads = use_cpus(config.cpus)
        captioner = load_captioner(config.model, pick_device(config.device), config.revision)
        kinds = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
        if config.precision in kinds:
            captioner.model.to(kinds[config.precision])
        self._captioner = captioner
        self._threads = ThreadPoolExecutor(threads, "decode")

    def close(self) -> None:
        """Lets go of the model."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        self._captioner = self._threads = None

    def process(self, table: pa.Table) -> pa.Table:
        """Captions the images in batches."""
        marks: list[Mark | None] = [None] * table.num_rows
        captions: list[list[dict[str, Any]] | None] = [None] * table.num_rows
        faults: list[list[tuple[str, str]]] = [[] for _ in marks]
        for start in range(0, table.num_rows, self.config.batch_size):
            places, images = self._opened(table["image"].slice(start, self.config.batch_size), start, marks)
            for place in places:
                captions[place] = []
            for prompt in self.config.prompts:
                for place, (text, score) in zip(places, self._generate(images, prompt), strict=True):
                    said = without_instruction(text, prompt)
                    fault = fault_of(said, prompt, score)
                    if fault is not None:
                        faults[place].append((fault, said))
                    else:
                        captions[place].append(self._entry(said, prompt, score))  # type: ignore[union-attr]
        self._report(faults, table.num_rows)
        described = ["; ".join(described_fault(*fault) for fault in found) or None for found in faults]
        for name, values in (("captions", captions), ("caption_fault", described)):
            table = table.append_column(COLUMNS[name].field, pa.array(values, COLUMNS[name].type))
        return with_marks(table, marks) if any(marks) else table

    def _opened(
        self, encoded: pa.ChunkedArray, start: int, marks: list[Mark | None]
    ) -> tuple[list[int], list[Image.Image]]:
        """The images that can be decoded and their places; marks the others."""
        assert self._threads is not None, "setup() was not called"
        places, images = [], []
        for place, opened in enumerate(self._threads.map(_open, encoded.to_pylist()), start):
            if isinstance(opened, str):
                marks[place] = failed(FailureReason.CORRUPT_IMAGE, opened)
            else:
                places.append(place)
                images.append(opened)
        return places, images

    def _generate(self, images: Sequence[Image.Image], prompt: str | None) -> list[tuple[str, float]]:
        if not images:
            return []
        assert self._captioner is not None, "setup() was not called"
        # Filled up, so that the shape of the arithmetic, and with it the result, hangs on no neighbour.
        batch = [*images, *[images[-1]] * (self.config.batch_size - len(images))]
        made = self._captioner.generate(batch, prompt, self.config.max_new_tokens, self.config.num_beams)
        return made[: len(images)]

    def _entry(self, text: str, prompt: str | None, score: float) -> dict[str, Any]:
        return {"text": text, "model": self.config.model, "prompt": prompt, "score": score}

    def _report(self, faults: Sequence[Sequence[tuple[str, str]]], rows: int) -> None:
        counts = Counter(fault for found in faults for fault, _ in found)
        generated = rows * len(self.config.prompts)
        if counts.total() >= max(_IMPLAUSIBLE_COUNT, _IMPLAUSIBLE_SHARE * generated):
            logger.warning(
                "%s: %d of %d generated captions were discarded (%s); try another `precision` or other `prompts`",
                self.config.step_name,
                counts.total(),
                generated,
                ", ".join(f"{fault}: {count}" for fault, count in counts.most_common()),
            )


def _open(data: bytes | None) -> Image.Image | str:
    """The image, or what is wrong with it."""
    try:
        return open_delivered(data)
    except UnreadableImageError as error:
        return str(error)
