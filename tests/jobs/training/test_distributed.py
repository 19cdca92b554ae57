"""What is refused before Ray starts. Two processes that train: tests/faults/test_ray_of_a_training.py."""

import pytest

from curation.errors import RecipeError
from jobs.training.config import DataConfig, TrainConfig
from jobs.training.distributed import train_distributed


def test_recipe_error_when_streams_cannot_be_shared_out(shards, tmp_path):
    config = TrainConfig(model="tiny-vit", data=DataConfig(streams=2))
    with pytest.raises(RecipeError, match="multiple of 3"):
        train_distributed(shards, tmp_path, config, workers=3)
