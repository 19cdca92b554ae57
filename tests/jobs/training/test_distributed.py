import json

import pytest

from curation.errors import RecipeError
from jobs.training.config import DataConfig, TrainConfig
from jobs.training.distributed import train_distributed
from jobs.training.loop import train

# A vision transformer has no batch norm, whose statistics would be those of each process's share.
CONFIG = TrainConfig(
    model="tiny-vit",
    steps=4,
    batch_size=8,
    warmup_steps=1,
    log_every=1,
    precision="fp32",
    compute_threads=1,
    data=DataConfig(streams=2, hard_negatives="given", shuffle_buffer=10),
)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_losses_are_those_of_one_process_when_two_train(shards, tmp_path, ray_address, monkeypatch):
    monkeypatch.setenv("RAY_TRAIN_V2_ENABLED", "1")
    alone = train(shards, tmp_path / "alone", CONFIG)
    both = train_distributed(shards, tmp_path / "both", CONFIG, workers=2, cpus_per_worker=0.5)
    assert both.steps == 4
    expected, found = (
        [json.loads(line)["loss"] for line in result.metrics.read_text().splitlines()] for result in (alone, both)
    )
    assert found == pytest.approx(expected, rel=1e-4)


def test_recipe_error_when_streams_cannot_be_shared_out(shards, tmp_path):
    with pytest.raises(RecipeError, match="multiple of 3"):
        train_distributed(shards, tmp_path, CONFIG, workers=3)
