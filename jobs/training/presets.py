"""Settings to start from."""

from jobs.training.config import AugmentConfig, DataConfig, TrainConfig

PRESETS: dict[str, TrainConfig] = {
    "small": TrainConfig(),
    "demo": TrainConfig(
        model="tiny-clip",
        steps=300,
        batch_size=128,
        learning_rate=1.5e-3,
        warmup_steps=30,
        checkpoint_every=1000,
        data=DataConfig(caption="mix", synthetic_share=0.7),
        augment=AugmentConfig(),
    ),
}
"""`small` for first trials on any shards; `demo` for the demo's two models."""
