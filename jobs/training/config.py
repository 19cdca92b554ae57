"""What one training is to do, and the presets."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class AugmentConfig(_Frozen):
    """Light changes of training images; the defaults are those of a picture's life on the web.

    Attributes:
        max_crop: at most this fraction of each side is cut away.
        brightness: the largest shift of all channels, as a fraction of white.
        contrast: the largest relative change of the distance from the mean.
        colour: the largest relative change of a single channel.
        gray: how often an image loses its colours.
        jpeg: how often an image is compressed once more, at quality 50 to 95.
        flip: how often an image is mirrored; wrong where captions say left and right.
    """

    max_crop: Annotated[float, Field(ge=0.0, lt=0.5)] = 0.05
    brightness: Share = 0.08
    contrast: Share = 0.12
    colour: Share = 0.05
    gray: Share = 0.0
    jpeg: Share = 0.15
    flip: Share = 0.0


class DataConfig(_Frozen):
    """Which texts are read, and in which order samples come.

    Attributes:
        caption: `alt` takes the `.txt`, `synthetic` one of the `captions` in the `.json` (the
            alt-text where there is none), `mix` flips a coin.
        synthetic_share: with `mix`, how often a synthetic caption is taken.
        caption_models: only captions by these models count; None takes all of them.
        hard_negatives: give each image texts that are almost right as further wrong answers:
            `given` takes some of its json's `hard_negatives`, `substituted` makes them by replacing
            a word with what another caption of the batch says between the same two words.
        negatives_each: how many of them each image gets.
        streams: logical streams of shards. Each batch takes the same number of samples from each,
            and processes share out the streams, so batches do not depend on the processes.
        shuffle_buffer: samples among which each stream shuffles.
        cache_mb: decoded images kept in memory, to save decoding them in each epoch.
        threads: threads that decode.
    """

    caption: Literal["alt", "synthetic", "mix"] = "alt"
    synthetic_share: Share = 0.5
    caption_models: tuple[str, ...] | None = None
    hard_negatives: Literal["given", "substituted"] | None = None
    negatives_each: Annotated[int, Field(ge=1)] = 1
    streams: Annotated[int, Field(ge=1)] = 1
    shuffle_buffer: Annotated[int, Field(ge=1)] = 4096
    cache_mb: Annotated[int, Field(ge=0)] = 1024
    threads: Annotated[int, Field(ge=1)] = 1


class TrainConfig(_Frozen):
    """One training.

    Attributes:
        objective: `contrastive` trains a dual encoder, `captioning` a captioner.
        model: an architecture of this package (`architectures.py`) or, for dual encoders, any
            architecture that open_clip knows.
        tokenizer: folder with a tokenizer, for architectures without one of their own; None
            takes the embedded CLIP's.
        start_from: reference of a model of the same architecture, whose weights are the start;
            None starts from random weights.
        image_tower_from: reference of a dual encoder whose image tower is the start of this one's.
        lock_image_tower: leave the image tower as it is and train the texts' side alone.
        steps: optimizer steps in all.
        batch_size: samples in a step over all processes.
        warmup_steps: steps over which the learning rate rises from 0; then it falls as a cosine.
        final_lr_share: the learning rate at the end, relative to its peak.
        max_gradient_norm: gradients are scaled down to this norm; None switches off.
        precision: `auto` is bf16 where the device has it; weights stay float32.
        weights_dtype: how exported weights are stored.
        checkpoint_every: steps between checkpoints; the last step always makes one.
        log_every: steps between lines of metrics.
        compute_threads: torch's threads on a CPU; None leaves them.
    """

    objective: Literal["contrastive", "captioning"] = "contrastive"
    model: str = "tiny-clip"
    tokenizer: str | None = None
    start_from: str | None = None
    image_tower_from: str | None = None
    lock_image_tower: bool = False
    steps: Annotated[int, Field(ge=1)] = 1000
    batch_size: Annotated[int, Field(ge=2)] = 256
    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-3
    warmup_steps: Annotated[int, Field(ge=0)] = 100
    final_lr_share: Share = 0.01
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.1
    beta2: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.98
    max_gradient_norm: Annotated[float, Field(gt=0.0)] | None = 1.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    weights_dtype: Literal["fp32", "fp16"] = "fp32"
    seed: Annotated[int, Field(ge=0)] = 0
    checkpoint_every: Annotated[int, Field(ge=1)] = 500
    log_every: Annotated[int, Field(ge=1)] = 20
    compute_threads: Annotated[int, Field(ge=1)] | None = None
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()

    @model_validator(mode="after")
    def _streams_share_a_batch(self) -> "TrainConfig":
        if self.batch_size % self.data.streams:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be shared equally by "
                f"{self.data.streams} streams: choose a multiple"
            )
        return self

    @model_validator(mode="after")
    def _only_dual_encoders_have_an_image_tower(self) -> "TrainConfig":
        if self.objective != "contrastive" and (self.image_tower_from or self.lock_image_tower):
            raise ValueError("image_tower_from and lock_image_tower are for the contrastive objective alone")
        return self
