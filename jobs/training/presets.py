"""Settings to start from."""

from jobs.training.config import DataConfig, TrainConfig

PRESETS: dict[str, TrainConfig] = {
    "small": TrainConfig(),
    # A minute on two cores is too short to learn shapes from pixels: from random weights both
    # models only learn colours. With the embedded model's image tower, locked, what is learned is
    # what the captions teach about pictures, which is what the demo compares.
    "demo": TrainConfig(
        image_tower_from="embedded:clip",
        lock_image_tower=True,
        steps=150,
        batch_size=128,
        learning_rate=1.5e-3,
        warmup_steps=20,
        checkpoint_every=1000,
        data=DataConfig(caption="mix", synthetic_share=0.7),
    ),
}
"""`small` for first trials on any shards; `demo` for the demo's two models, about a minute each."""
