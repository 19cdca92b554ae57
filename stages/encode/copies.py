"""The stage `describe_copies`: a vector that stays near when an image is copied and edited."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from curation.contracts.config import StepConfig, Tuning
from curation.contracts.marks import Mark, failed, with_marks
from curation.contracts.resources import Resources
from curation.contracts.stage import Stage, StageSpec
from curation.devices import Device, pick_device, stated_gpus, use_cpus
from curation.models.copy_descriptor import SIDE_PX, CopyDescriptor, check_model
from schemas.columns import COLUMNS
from schemas.outcomes import FailureReason


class DescribeCopiesConfig(StepConfig):
    """Settings of `describe_copies`.

    Attributes:
        model: Path of the TorchScript file of a copy detector, such as SSCD's `sscd_disc_mixup.torchscript.pt`. It gets
            (n, 3, side_px, side_px) float32, normalised as for ImageNet, and returns (n, d).
        side_px: Width and height of the model's input; images are squeezed to it.
        batch_size: Rows that go through the model at once.
        device: auto: the GPU that the worker has, if it has one.
        cpus: Processors of one worker.
        gpus: GPUs of one worker; null: 1 with `device: cuda`.
    """

    kind: Literal["describe_copies"] = "describe_copies"
    model: str = Field(min_length=1)
    side_px: int = Field(SIDE_PX, ge=1, le=4096)
    batch_size: Tuning[int] = Field(16, ge=1)
    device: Tuning[Device] = "auto"
    cpus: Tuning[float] = Field(1.0, gt=0)
    gpus: Tuning[float | None] = Field(None, ge=0)


class DescribeCopies(Stage):
    """Adds the descriptor of the delivered image, by which `decontaminate` finds edited copies that PDQ misses."""

    Config = DescribeCopiesConfig
    config: DescribeCopiesConfig

    def __init__(self, config: StepConfig) -> None:
        super().__init__(config)
        self._model: CopyDescriptor | None = None

    @property
    def spec(self) -> StageSpec:
        """One worker holds one copy of the model."""
        config = self.config
        return StageSpec(
            kind="describe_copies",
            version=1,
            requires=("image",),
            adds=("copy_descriptor",),
            resources=Resources(cpus=config.cpus, gpus=stated_gpus(config.device, config.gpus)),
        )

    def check(self) -> None:
        """Whether there is such a file."""
        check_model(self.config.model)

    def setup(self) -> None:
        """Loads the model."""
        config = self.config
        use_cpus(config.cpus)
        self._model = CopyDescriptor(config.model, config.side_px, config.batch_size, pick_device(config.device))

    def close(self) -> None:
        """Lets go of the model."""
        self._model = None

    def process(self, table: pa.Table) -> pa.Table:
        """Describes every image."""
        assert self._model is not None, "setup() was not called"
        marks: list[Mark | None] = [None] * table.num_rows
        vectors: list[np.ndarray | None] = [None] * table.num_rows
        for place, vector in enumerate(self._model.describe(table["image"].to_pylist())):
            norm = np.linalg.norm(vector)
            if np.isfinite(norm) and norm > 0:
                vectors[place] = (vector / norm).astype(np.float16)
            else:
                marks[place] = failed(FailureReason.CORRUPT_IMAGE, "gives no descriptor")
        column = COLUMNS["copy_descriptor"]
        table = table.append_column(column.field, pa.array(vectors, column.type))
        return with_marks(table, marks) if any(marks) else table
